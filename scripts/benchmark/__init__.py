"""Training speed: workloads, libraries, what the machine could do, and where an epoch goes."""
