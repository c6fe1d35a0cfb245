"""Reviews as files.

Nothing is imported here: the page wants names and tables, without what makes DICOM objects.
"""
