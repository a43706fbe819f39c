"""Folders of runs as tidy tables, their statistics, and the summary."""
