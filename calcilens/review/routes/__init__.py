"""What a browser may ask for; each module gives a `router`."""
