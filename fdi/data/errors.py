"""What is wrong with data, in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class DataError(ValueError):
    """Data that is missing, damaged or does not fit its description; the message says what, where,
    and what to do.
    """


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turn the error of data that cannot be read, or do not fit into memory, into one line about
    `what`.
    """
    try:
        yield
    except MemoryError as error:
        raise DataError(f"{what} does not fit into memory ({error}); ask for less") from error
    except OSError as error:
        raise DataError(f"{what} cannot be read: {error}") from error


@contextmanager
def needs(package: str) -> Iterator[None]:
    """Turn a failing import of the optional `package` into one line."""
    try:
        yield
    except ImportError as error:
        raise DataError(
            f"this data set needs {package} ({error}); install it with: pip install 'fdi-snn[data]'"
        ) from error
