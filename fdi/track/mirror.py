"""What a copy of the learning curves elsewhere takes."""

from __future__ import annotations

from typing import Any, Protocol


class Mirror(Protocol):
    """`rows`: of the initial state, see fdi.init.probe; `row`: an epoch; `result`: the end."""

    def probe(self, rows: list[dict[str, Any]]) -> None: ...

    def row(self, row: dict[str, Any]) -> None: ...

    def result(self, result: dict[str, Any]) -> None: ...
