"""Console commands. They draw into files, whatever backend of matplotlib the environment names."""

import os
import sys

if "ipykernel" not in sys.modules:  # a notebook draws with a backend of its own
    os.environ.pop("MPLBACKEND", None)  # matplotlib refuses to be imported with an unknown one
