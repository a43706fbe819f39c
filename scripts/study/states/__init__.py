"""One module per simulated state, with `simulate()`: a tidy table for the figure of the same name.
Seeds are fixed.
"""
