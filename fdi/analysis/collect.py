"""Folders of runs -> one table with a row for each run.

Columns, in this order (accuracies are shares, 0 to 1; NaN where a run has not got that far):

    path                        directory of the run
    dataset, model, init        chosen options, the names of the directories above
    seed, id                    from the name of the directory
    state                       one of fdi.track.record.STATES; only done runs have all numbers
    error                       why it failed or was refused, or what is wrong with its record
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
    metric                      what stands in place of an accuracy, with its unit and direction;
                                only where there is a run with another objective
    moved/<projection>          |W - W1|/|W0| of its weights, W1 those at its first gradient
    decayed/<projection>        |W1 - W0|/|W0|, where the optimizer has weight decay
    alignment/<population>      of its spike counts before and after training, 1: the same
    operations/<spikes, dense, effective, MAC>
                                of a sample, see fdi.runner.operations
    hits                        which samples of the test set it had right after the last epoch, a
                                bit each, as hexadecimal digits
    data_checksum               of the data as the seed splits them: what two runs of a pair share
    data, code, numerics        the evidence that the runs of a row share besides their config, see
                                fdi.track.evidence; what a run does not know of itself is a value
                                that no other run has, nothing in one that was never built
    init.own_code               the hash of the user's own code behind `init`, which a pair need
                                not share
    sweeps                      the sweeps that it belongs to, by their plans, separated by commas
    tags, note                  of the user's own, tags separated by commas; they are no part of the
                                config
    modules                     folders with the user's own code and configs, as JSON
    <dotted key>                each key of the config, as on the command line; lists as JSON text;
                                see `with_neutral`
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from fdi.config import Mistake
from fdi.config.metric import ACCURACY as OF_CLASSES
from fdi.config.metric import Metric, of_result, of_rows
from fdi.track import plans
from fdi.track.evidence import SHARED
from fdi.track.files import directories, tell
from fdi.track.record import REFUSED, Run, look

ACCURACY, BEST, VALID = "test_accuracy_last", "test_accuracy_best", "valid_accuracy_last"
TEST_SAMPLES = "test_samples"
KEYS = ("path", "dataset", "model", "init", "seed", "id", "state")
REACHED = (ACCURACY, BEST, "best_epoch", "valid_accuracy_best", VALID)
LOSSES = ("train_accuracy_last", "train_loss_last", "test_loss_last")
NUMBERS = ("epoch", "epochs", *REACHED, *LOSSES, "seconds", "classes", TEST_SAMPLES)
MODULES, METRIC = "modules", "metric"
ADDED = ("source", "baseline", "provenance")  # by fdi.analysis.results and studies
HITS = "hits"
ORIGIN = (*ADDED, HITS, "data_checksum", METRIC, MODULES, "sweeps", "tags", "note")
OWN_INIT = "init.own_code"
UNKNOWN = "unknown of "  # and the id of the run
DIGITS = 8  # hex digits of a hash in a table
OWN_NAMES = ("silent", "moved", "decayed", "alignment", "operations")
PREFIXES = {"rates": "rate"} | {key: key for key in OWN_NAMES}
"""Key of a result -> first part of its columns, one for each population or projection."""
MEASURED = tuple(f"{prefix}/" for prefix in PREFIXES.values())
AT = "place of the run"
CONFIG = str(files("fdi.conf").joinpath("config.yaml"))


Runs = pd.DataFrame
"""A row for each run, with the columns above."""
Page = pd.DataFrame
"""What one picture shows."""
Pages = dict[str, tuple[Page, Runs | None]]
"""Pages by name, each with the runs that are drawn on it; None where these are not runs, as in a
simulation, and the page says its `source` itself.
"""


def checked(table: Runs, what: str = "the table of runs") -> Runs:
    """The table. Raises fdi.Mistake where it lacks columns of one of runs; `what` it is."""
    if lacking := [name for name in (*KEYS, ACCURACY) if name not in table]:
        raise Mistake(
            f"{what} lacks the columns {', '.join(lacking)}; fdi.results gives tables of runs"
        )
    return table


def runs(results: Path) -> pd.DataFrame:
    """The runs below `results`/runs. One whose record is not whole is among them, with the state
    broken, and a line says why.
    """
    every = table(results, [path for path, *_ in directories(results)])
    broken = every[every["state"] == "broken"]
    for path, error in zip(broken["path"], broken["error"]):
        tell(f"{path} is left out: {error}")
    return every


def table(results: Path, paths: Iterable[str]) -> pd.DataFrame:
    """The runs in these folders below `results`. A plan that cannot be read is a line."""
    planned, broken = plans.read_plans(results)
    for line in broken:
        tell(f"{line}; this sweep is left out")
    sweeps, root = plans.titles(planned), f"{results}/"
    shared: dict[str, dict[str, Any]] = {}  # the seeds of a condition share their configuration
    rows, configs = [], []
    for path in paths:
        run = look(Path(path))
        place = path.removeprefix(root)
        rows.append(_row(path, run) | {"sweeps": ", ".join(sweeps.get(place, ())) or None})
        text = json.dumps({key: value for key, value in run.config.items() if key != "seed"})
        if text not in shared:
            shared[text] = _settings(run.config)
        configs.append(shared[text])
    measured = pd.DataFrame.from_records(rows)
    known = list(dict.fromkeys((*KEYS, "error", *NUMBERS, "sweeps", *measured)))
    measured = measured.reindex(columns=known)
    numbers = [name for name in known if name in NUMBERS or name.startswith(MEASURED)]
    measured = measured.astype(dict.fromkeys(numbers, float))
    config = with_neutral(pd.DataFrame.from_records(configs))
    others = [name for name in config if name not in known]
    joined = pd.concat([measured, config[others]], axis=1)
    texts_of = [name for name in joined if isinstance(joined[name].dtype, pd.StringDtype)]
    # pandas keeps each of these columns alone, and warns of more than 100 of them: copy joins them
    return joined.astype(dict.fromkeys(texts_of, object)).copy()


def alike(table: Runs) -> pd.DataFrame:
    """The table for other libraries: a column of several types of values is one of text."""
    several = [str(name) for name in table if table[name].dtype == object]
    return table.assign(**{name: _alike(table[name]) for name in several}).copy()


def _alike(column: pd.Series) -> pd.Series:
    known = column[column.notna()]
    if len({float if type(value) is int else type(value) for value in known}) < 2:
        return column
    return column.mask(
        column.notna(), column.map(lambda v: v if isinstance(v, str) else json.dumps(v))
    )


def metric_of(runs: Runs, places: Any = slice(None)) -> Metric:
    """What the runs, or those in these places, are judged by."""
    return of_rows(runs[METRIC].iloc[places]) if METRIC in runs else OF_CLASSES


def config_columns(table: pd.DataFrame) -> list[str]:
    """The columns of `runs` that must agree in what is averaged or paired: those of the config, and
    SHARED.
    """
    others = {*KEYS, "error", *NUMBERS, *ORIGIN}
    names = [str(column) for column in table]
    return [name for name in names if name not in others and not name.startswith(MEASURED)]


def _row(path: str, run: Run) -> dict[str, Any]:
    """What is known of a run besides its configuration."""
    *_, dataset, model, init, name = path.split("/")
    seed, _, identity = name.removeprefix("seed=").partition("-")
    names = dict(zip(KEYS, (path, dataset, model, init, int(seed), identity, run.state)))
    result, modules = run.result or {}, (run.config.get("paths") or {}).get("modules")
    metric = of_result(result)
    numbers = {key: result.get(metric.key(key)) for key in NUMBERS}
    numbers |= {"epoch": run.epoch, "epochs": run.epochs}
    if metric != OF_CLASSES:
        numbers |= {METRIC: str(metric), TEST_SAMPLES: None}  # whose noise is not that of hits
    for key, prefix in PREFIXES.items():
        numbers |= {f"{prefix}/{part}": value for part, value in result.get(key, {}).items()}
    return {
        **names,
        "error": run.error if run.state in ("failed", REFUSED, "broken") else None,
        **numbers,
        HITS: result.get("hits"),
        **_evidence(run, identity),
        MODULES: json.dumps(modules) if modules else None,
        "tags": ", ".join(map(str, run.tags)) or None,
        "note": run.note,
    }


def _evidence(run: Run, identity: str) -> dict[str, Any]:
    """The columns of SHARED, OWN_INIT and `data_checksum`."""
    known = run.evidence or {}
    code = known.get("code")
    said = {key: known.get(key) for key in SHARED}
    if code is not None:
        others = {key: code[key] for key in code if key != "init"}
        text = json.dumps(others, sort_keys=True).encode()
        whole = hashlib.blake2b(text, digest_size=DIGITS // 2).hexdigest()
        said["code"] = whole if others else "none"
    if run.epoch:
        said = {key: f"{UNKNOWN}{identity}" if text is None else text for key, text in said.items()}
    return {
        "data_checksum": known.get("split"),
        **said,
        OWN_INIT: code["init"][:DIGITS] if code and "init" in code else None,
    }


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted key -> value, lists as JSON text, without the seed and without what cannot change the
    numbers (`identity.exclude`).
    """
    excluded = ["seed", *((config.get("identity") or {}).get("exclude") or [])]
    inside = tuple(f"{key}." for key in excluded)
    return {
        key: value
        for key, value in _flat(config)
        if key not in excluded and not key.startswith(inside)
    }


def with_neutral(table: pd.DataFrame) -> pd.DataFrame:
    """The table, where runs of before a key have its value in `identity.neutral`, which says what
    they did: so they are in one row with later ones of the same id.
    """
    known = {key: value for key, value in neutral().items() if key in table}
    filled = {key: np.where(table[key].isna(), value, table[key]) for key, value in known.items()}
    return table.assign(**{key: pd.Series([*cells], table.index) for key, cells in filled.items()})


@cache  # several tables are read in one command
def neutral() -> dict[str, Any]:
    """`identity.neutral` by dotted key."""
    node: Any = OmegaConf.to_container(OmegaConf.load(CONFIG).identity.neutral)
    return dict(_flat(node))


def _flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value) if isinstance(value, list) else value
