"""What every other kernel is made of: vectors, rows, products."""
