"""Plain autograd over time: the oracle of the other engines."""

from fdi.engine.reference.engine import ReferenceEngine as ReferenceEngine
