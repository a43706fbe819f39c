"""What each field of a record may be, and each value in the rows of an initial state. What is read
from a file fits, or the file is broken: who uses it need not ask again.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, get_type_hints

from fdi.config.metric import ACCURACY, Metric
from fdi.config.parts import SIMPLE, Values, either, spelt

LARGEST = 1e300  # a float holds larger ones, and some sums of these


def is_number(value: Any) -> bool:
    """A finite number that a float can hold."""
    return type(value) in (int, float) and abs(value) < LARGEST


def _number(least: float, most: float = LARGEST, *kinds: type) -> Values:
    among = kinds or (int, float)
    return Values(
        f"{'an integer' if kinds else 'a number'} from {least:g} to {most:g}",
        lambda value: type(value) in among and least <= value <= most,
    )


def _whole(least: int = 0) -> Values:
    return _number(least, 2**63 - 1, int)


def _or_null(kind: Values) -> Values:
    return Values(f"{kind.words} or null", lambda value: value is None or kind.admits(value))


def _each(kind: Values) -> Values:
    return Values(
        f"key: value pairs, each {kind.words}",
        lambda value: type(value) is dict and all(map(kind.admits, value.values())),
    )


def _list(kind: Values) -> Values:
    return Values(
        f"a list, each {kind.words}",
        lambda value: type(value) is list and all(map(kind.admits, value)),
    )


TEXT = Values("text", lambda value: type(value) is str)
FLAG = SIMPLE[bool]
BITS = Values(
    "bits as hexadecimal digits",
    lambda value: type(value) is str and re.fullmatch("([0-9a-f]{2})*", value) is not None,
)
NODE = Values("key: value pairs", lambda value: type(value) is dict)
LIST = Values("a list", lambda value: type(value) is list)
TEXTS = _list(TEXT)
FINITE, SHARE, SIZE = Values("a finite number", is_number), _number(0, 1), _number(0)
LOSS = Values("a number", lambda value: type(value) is float or is_number(value))
OF_METRIC = Values(
    f"the {', '.join(Metric._fields)} of a metric",
    lambda value: (
        type(value) is dict
        and {key: type(entry) for key, entry in value.items()} == get_type_hints(Metric)
    ),
)
WRITTEN = ("running", "interrupted", "failed", "probed", "done")  # states in a record

FIELDS: dict[str, Values] = {
    "config": NODE,
    "config.name": _each(_or_null(TEXT)),
    "config.seed": _whole(),
    "config.trainer": NODE,
    "config.trainer.epochs": _whole(),
    "config.engine": NODE,
    "config.engine.decides": _or_null(TEXTS),
    "config.identity": NODE,
    "config.identity.exclude": TEXTS,
    "config.identity.neutral": _or_null(NODE),
    "config.paths": _or_null(NODE),
    "config.paths.modules": _or_null(TEXTS),
    "words": TEXTS,
    "state": Values(f"one of {', '.join(WRITTEN)}", WRITTEN.__contains__),
    "epoch": _whole(),
    "epochs": _or_null(_whole()),
    "error": _or_null(TEXT),
    "refused": FLAG,
    "evidence": _or_null(NODE),
    "evidence.numerics": _or_null(either(_whole(), TEXT)),
    "evidence.data": _or_null(TEXT),
    "evidence.code": _or_null(_each(TEXT)),
    "evidence.split": _or_null(TEXT),
    "evidence.files": _or_null(TEXT),
    "origin": NODE,
    "origin.data": _or_null(NODE),
    "origin.data.shape": _or_null(_list(_whole(1))),
    "origin.data.classes": _or_null(_whole(1)),
    "origin.data.steps": _or_null(_whole(1)),
    "origin.data.dt": _or_null(SIZE),
    "origin.memory": _or_null(SIZE),
    "resumed": _list(NODE),
    "result": _or_null(NODE),
    "result.epochs": _or_null(_whole()),
    "result.test_accuracy_last": _or_null(SHARE),
    "result.test_accuracy_best": _or_null(SHARE),
    "result.test_loss_last": _or_null(LOSS),
    "result.train_accuracy_last": _or_null(SHARE),
    "result.train_loss_last": _or_null(LOSS),
    "result.best_epoch": _or_null(_whole()),
    "result.valid_accuracy_best": _or_null(SHARE),
    "result.valid_accuracy_last": _or_null(SHARE),
    "result.metric": _or_null(OF_METRIC),
    "result.classes": _or_null(_whole(2)),
    "result.test_samples": _or_null(_whole(1)),
    "result.seconds": SIZE,
    "result.rates": _each(SIZE),
    "result.silent": _or_null(_each(SHARE)),
    "result.moved": _or_null(_each(_or_null(SIZE))),
    "result.decayed": _or_null(_each(_or_null(SIZE))),
    "result.alignment": _or_null(_each(_or_null(SIZE))),
    "result.unmoved": _or_null(_each(TEXT)),
    "result.tau_mem": _or_null(_each(SIZE)),
    "result.parameters": _or_null(_whole()),
    "result.confusion": _or_null(_list(_list(_whole()))),
    "result.hits": _or_null(BITS),
    "result.operations": _or_null(_each(SIZE)),
    "files": _each(TEXT),
    "updated": TEXT,
    "tags": LIST,
    "note": _or_null(TEXT),
}
"""Dotted name -> what it may be. A field that is not there counts as null; one below a null is not
looked at. What stands below a node and not here is read by nobody but as text.
"""
MEASURED = "_accuracy_"  # in the name of a number that `metric` gives a name and a range


@cache
def _rows(metric: Metric) -> list[tuple[str, str, str, Values]]:
    """Node, key, name and values of each field."""
    rows = []
    for name, kind in FIELDS.items():
        if metric != ACCURACY and MEASURED in name:
            name, kind = metric.key(name), _or_null(FINITE)
        node, _, key = name.rpartition(".")
        rows.append((node, key, name, kind))
    return rows


def misfit(record: dict[str, Any]) -> str | None:
    """The first field that is not what it may be, as a line."""
    result = record["result"]
    said: Any = result.get("metric") if type(result) is dict else None
    metric = Metric(**said) if OF_METRIC.admits(said) else ACCURACY
    nodes: dict[str, Any] = {"": record}
    for node, key, name, kind in _rows(metric):
        if (inside := nodes.get(node)) is None:
            continue
        value = inside.get(key)
        if not kind.admits(value):
            return f"{name} = {spelt(value)[:40]} must be {kind.words}"
        if type(value) is dict:
            nodes[name] = value
    return None


OF_ROW = {"population": TEXT, "expected": _or_null(TEXT)}
MEASURE = _or_null(either(LOSS, FLAG))


def is_state(rows: Any) -> bool:
    """Whether these are the rows of an initial state, with a name each, and numbers."""
    return type(rows) is list and all(
        type(row) is dict
        and "population" in row
        and all(OF_ROW.get(key, MEASURE).admits(value) for key, value in row.items())
        for row in rows
    )
