"""fdi from Python: what the commands do, as functions that return tables, runs and figures."""
