"""A progress bar for notebooks, drawn by IPython's own display; rich's wants ipywidgets there."""

from __future__ import annotations

import html
import time
from typing import Any

from rich.progress import TaskID

EVERY = 0.2  # s between two pictures of a bar


def is_notebook(file: Any) -> bool:
    """Whether what is written to `file` appears in a notebook."""
    return type(file).__module__.partition(".")[0] == "ipykernel"


class Bar:
    """Stands in a notebook for rich.progress.Progress with one task: a bar, its numbers and words
    behind it, which stay when it is done.
    """

    def __init__(self) -> None:
        self.total, self.done, self.words = 0.0, 0.0, ""
        self.handle: Any = None
        self.drawn = 0.0

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self.handle is not None:
            self.handle.update(self)

    def add_task(self, words: str, total: float, completed: float = 0, **_: Any) -> TaskID:
        from IPython.display import display

        self.words, self.total, self.done = words, total, completed
        self.handle = display(self, display_id=True)
        return TaskID(0)

    def update(self, task: Any, completed: float, **words: str) -> None:
        self.done, self.words = completed, " ".join(words.values())
        if time.monotonic() - self.drawn >= EVERY:
            self.drawn = time.monotonic()
            self.handle.update(self)

    def __repr__(self) -> str:
        return f"{self.done:.0f}/{self.total:.0f}  {self.words}".strip()

    def _repr_html_(self) -> str:
        return (
            f"<progress max='{self.total:g}' value='{self.done:g}'></progress> "
            f"<code>{html.escape(repr(self))}</code>"
        )
