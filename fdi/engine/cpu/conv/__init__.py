"""Layers of convolutions: maps with channels last."""
