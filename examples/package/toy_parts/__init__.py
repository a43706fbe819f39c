"""A part of each kind, as an installed package brings them to fdi: see `parts`."""
