"""Layers of fully connected projections: rows of numbers."""
