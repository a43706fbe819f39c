"""The nouns: neurons, populations, projections, networks, and what they are trained for."""
