"""Builders: each turns one kind of data set into a manifest and says what it left out."""
