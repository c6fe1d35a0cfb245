"""What is drawn by hand or elsewhere: lesions (JSON, CSV, DICOM SEG, RTSTRUCT) and bones."""
