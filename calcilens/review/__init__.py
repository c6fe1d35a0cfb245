"""What radiologists say of predictions: kept for good, never changing the prediction itself."""
