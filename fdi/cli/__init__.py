"""Console commands. They draw into files: no backend of matplotlib that the environment names."""

import os

os.environ.pop("MPLBACKEND", None)  # matplotlib refuses to be imported with an unknown one
