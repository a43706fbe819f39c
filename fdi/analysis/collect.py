"""Folders of runs -> one table with a row for each run.

Columns, in this order (accuracies are shares, 0 to 1; NaN where a run has not got that
far):

    path                        directory of the run
    dataset, model, init        chosen options, the names of the directories above
    seed, id                    from the name of the directory
    state                       done | probed (initial state only) | running | queued (by SLURM) |
    failed | interrupted | missing (nothing yet)
                                | broken (a file is unreadable); only done runs have all numbers
    error                       why it failed, or which file is broken
    epoch, epochs               epochs finished, and epochs in all, priming included
    test_accuracy_last          with the weights of the last epoch
    test_accuracy_best          with the weights of the best validation epoch, `best_epoch`
    valid_accuracy_best, valid_accuracy_last
    seconds                     of the whole run
    classes, test_samples       what a test accuracy is to be compared with
    rate/<population>           Hz, on the test set
    silent/<population>         share of neurons that never spike there
    train_accuracy_last, train_loss_last    of the last epoch, as it was trained (cross-entropy)
    test_loss_last              cross-entropy
    moved/<projection>          |W - W0|/|W0| of its weights
    alignment/<population>      of its spike counts before and after training, 1: the same
    data_checksum               of the data as the seed splits them: what two runs of a pair share
    data, code, numerics        what the runs of a row share besides their config: a hash of the
                                files of the data (none where fdi generates them), of the user's
                                own code (none without), and the number of fdi's numerics, of a
                                run that went on with other ones each with its first epoch
    init.own_code               the hash of the user's own code behind `init`, which a pair need
                                not share
    tags, note                  of the user's own, tags separated by commas; they are no part of the
                                config
    <dotted key>                each key of the config, as on the command line; lists as JSON text
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fdi.analysis.index import Index, index, stamp
from fdi.config import Mistake
from fdi.config.identity import folder_name
from fdi.config.parts import option
from fdi.track.directory import counted, numerics, read_flat
from fdi.track.files import CONFIG, RECORD, RESULT, SETTLED, STATUS, directories, read_record
from fdi.track.state import is_number, progress

KEYS = ("path", "dataset", "model", "init", "seed", "id", "state")
PROGRESS = ("epoch", "epochs")
ACCURACIES = (
    "test_accuracy_last",
    "test_accuracy_best",
    "best_epoch",
    "valid_accuracy_best",
    "valid_accuracy_last",
)
LOSSES = ("train_accuracy_last", "train_loss_last", "test_loss_last")
NUMBERS = (*PROGRESS, *ACCURACIES, *LOSSES, "seconds", "classes", "test_samples")
ORIGIN = ("source", "baseline", "provenance", "data_checksum", "modules", "tags", "note")
"""Where a run comes from; the first three are columns that fdi.analysis.results adds."""
SHARED = ("data", "code", "numerics")
"""What the runs of a row, and of a pair, share besides their config."""
OWN_INIT = "init.own_code"
SHOWN = 8  # hex digits of a hash in a table
POPULATIONS = {"rates": "rate", "silent": "silent", "moved": "moved", "alignment": "alignment"}
MEASURED = tuple(f"{prefix}/" for prefix in POPULATIONS.values())
PLACE = "place of the run"
MODULES = "modules"  # folders with the user's own code and configs, as JSON
ROW = "run"  # kind of entries of the index
NAN = float("nan")
Column = list[Any] | np.ndarray


def runs(results: Path) -> pd.DataFrame:
    """The runs below `results`/runs. One with unreadable files is among them, with the state
    broken.
    """
    configs: dict[str, int] = {}
    numbers = array("l")  # of the config of each run, since many share one

    def rows(kept: Index) -> Iterator[dict[str, Any]]:
        for path, dataset, model, init, seed, identity in directories(results):
            outcome, config = _content(path, kept, (dataset, model, init, seed))
            numbers.append(configs.setdefault(config, len(configs)))
            names = {"dataset": dataset, "model": model, "init": init, "seed": int(seed)}
            yield {"path": path, **names, "id": identity, **outcome}

    with index(results) as kept:
        measured, count = columns(rows(kept))
        kept.forget(ROW, measured.get("path", ()))
    names = dict.fromkeys((*KEYS, "error", *NUMBERS, *measured))
    table = _table({name: measured.pop(name, [None] * count) for name in names}, count)
    values_of, _ = columns(map(json.loads, configs))
    settings = {key: values for key, values in values_of.items() if key not in names}
    return table.join(_table(settings, len(configs)).take(numbers).set_axis(table.index))


def _table(values_of: dict[str, Column], count: int) -> pd.DataFrame:
    return pd.DataFrame({key: _column(key, values_of[key]) for key in values_of}, range(count))


def _column(name: str, values: Column) -> pd.Series:
    """Texts as objects: pandas keeps all of these in one block, but of its own each column in one,
    and each choice of rows goes through all blocks.
    """
    column = pd.Series(values, dtype=float if _is_result(name) else None)
    return column.astype(object) if isinstance(column.dtype, pd.StringDtype) else column


def _is_result(column: str) -> bool:
    return column in NUMBERS or column.startswith(MEASURED)


def columns(
    rows: Iterable[dict[str, Any]], numeric: Callable[[str], bool] = _is_result
) -> tuple[dict[str, Column], int]:
    """The values of `rows` by key, and the number of rows. Where a row lacks a key its value is
    None, or NaN in columns that are `numeric`. Columns take a tenth of the memory of rows.
    """
    values_of: dict[str, list[Any] | array[float]] = {}
    count = 0
    for row in rows:
        for key in row:
            if key not in values_of:
                values_of[key] = array("d", [NAN] * count) if numeric(key) else [None] * count
        for key, values in values_of.items():
            value: Any = row.get(key)
            try:
                values.append(NAN if value is None and isinstance(values, array) else value)
            except (TypeError, OverflowError):  # no number after all
                values_of[key] = [*values, value]
        count += 1
    return {
        key: np.frombuffer(v) if isinstance(v, array) else v for key, v in values_of.items()
    }, count


def config_columns(table: pd.DataFrame) -> list[str]:
    """The columns of `runs` that must agree in what is averaged or paired: those of the config, and
    SHARED.
    """
    others = {*KEYS, "error", *NUMBERS, *ORIGIN}
    names = [str(column) for column in table]
    return [name for name in names if name not in others and not name.startswith(MEASURED)]


def _content(path: str, kept: Index, place: Sequence[str]) -> tuple[dict[str, Any], str]:
    """State and final numbers, and the config without its seed as JSON. They come from the index
    where the files have not changed, unless some process may still be at work on the run. `place`:
    data set, model, init and seed by the names of its folders.
    """
    key = stamp(path, (CONFIG, STATUS, RESULT, RECORD))
    if known := kept.find(ROW, path, key):
        return json.loads(known[0]), known[1]
    directory = Path(path)
    config: dict[str, Any] = {}
    try:
        flat = read_flat(directory / CONFIG)
        _refuse_elsewhere(flat, place)
        config, modules = counted(flat), flat.get(f"paths.{MODULES}")
        outcome = _outcome(directory) | {MODULES: modules if modules != "[]" else None}
        outcome |= {"tags": _listed(flat.get("tags")), "note": flat.get("note")}
    except FileNotFoundError:
        if progress(directory)["state"] == "missing":  # stopped before it wrote anything
            return {"state": "missing", "error": None}, "{}"
        outcome = {"state": "broken", "error": f"{CONFIG}: not there"}
    except (OSError, ValueError) as error:
        outcome = {"state": "broken", "error": str(error).removeprefix(f"{path}/")}
    config.pop("seed", None)
    text = json.dumps(config)
    if outcome["state"] in SETTLED:
        kept.keep(ROW, path, key, json.dumps(outcome), text)
    return outcome, text


def _refuse_elsewhere(flat: Mapping[str, Any], place: Sequence[str]) -> None:
    """Raises ValueError for a run in the folder of another seed, or of another option of fdi's own:
    somebody copied or renamed it, and it would count as what it is not.
    """
    *names, seed = place
    if str(flat["seed"]) != seed:
        raise ValueError(f"{CONFIG}: seed = {flat['seed']}, in a folder of seed={seed}")
    for group, name in zip(("dataset", "model", "init"), names):
        given, known = flat.get(f"name.{group}"), option(group, name)
        if isinstance(given, str) and folder_name(given) != name and known and "${" not in given:
            raise ValueError(f"{CONFIG}: {group} = {given}, in a folder of {name}")


def _listed(tags: Any) -> str | None:
    """Tags as they are shown, from the JSON of their list."""
    return ", ".join(map(str, json.loads(tags))) or None if isinstance(tags, str) else None


def _outcome(directory: Path) -> dict[str, Any]:
    """State and final numbers. Raises ValueError for a broken file."""
    content = progress(directory)
    if content["state"] == "broken":
        raise Mistake(content["error"])
    numbers = _numbers(content, NUMBERS)
    for key, prefix in POPULATIONS.items():
        measured = content.get(key, {})
        if not isinstance(measured, dict):
            raise Mistake(f"{directory}: {key} is not an object")
        numbers |= {
            f"{prefix}/{name}": value for name, value in _numbers(measured, measured).items()
        }
    error = content.get("error") if content["state"] == "failed" else None
    return {"state": content["state"], "error": error and str(error), **numbers, **_made(directory)}


def _made(directory: Path) -> dict[str, Any]:
    """The columns of SHARED, OWN_INIT and `data_checksum` of a run, from its record."""
    record = read_record(directory)
    run = record.get("run")
    run = run if isinstance(run, dict) else {}
    code, data, checksum = run.get("code"), run.get("data_source"), record.get("data_checksum")
    code = code if isinstance(code, dict) else {}
    others = {key: value for key, value in code.items() if key != "init"}
    return {
        "data_checksum": checksum if isinstance(checksum, str) else None,
        "data": data[:SHOWN] if isinstance(data, str) else None,
        "code": _hash(others) if others else None,
        OWN_INIT: _hash(code["init"]) if "init" in code else None,
        "numerics": numerics(record),
    }


def _hash(content: Any) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=SHOWN // 2).hexdigest()


def _numbers(content: dict[str, Any], keys: Iterable[str]) -> dict[str, float | None]:
    """The values of `keys`. Raises ValueError for a value that is neither a number nor null."""
    values = {key: content.get(key) for key in keys}
    for key, value in values.items():
        if value is not None and not is_number(value):
            raise Mistake(f"{key} = {str(value)[:40]} is not a number")
    return values
