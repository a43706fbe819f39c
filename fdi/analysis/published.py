"""Published values, under the names of before."""

from fdi.analysis.select import with_layers
from fdi.analysis.studies import published

__all__ = ["published", "with_layers"]
