"""fdi: does fluctuation-driven initialization train a spiking network better, and why?"""

__version__ = "0.1.0"
