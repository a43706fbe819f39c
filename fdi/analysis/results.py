"""What figures and tables are made of: runs, their learning curves and their initial states, of the
user and of studies.

Learning curves, metrics.csv beside a record, are one table with a row for each run and epoch,
initial states, init.json, one with a row for each run and population. Columns: path, dataset,
model, init, seed, id, state, then those of the file as they are.

A study is a package with an entry point in the group `fdi.studies`; fdi's own one, fdi.study, is
one of them. What its `__init__` defines of the following is used:

FIGURES                    names of its modules that describe a figure, as in fdi.figures
reference(folder)          -> the measurements that it keeps in a folder, None for any other folder
PLAIN                      config key -> value: what these have in common in all figures that do not
                           vary the key
sections(mine, measured)   -> (heading, HTML) of the report, from the user's own results and from
                           the measurements of studies, two `Results`: `runs`, a row per run with
                           the columns of `fdi-table --csv`, `curves`, `probe`
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from fdi.analysis.collect import AT, KEYS, METRIC, SHARED, Runs, checked, runs
from fdi.analysis.conditions import LABELS, condition_columns, conditions, groups
from fdi.analysis.formats import number, shown
from fdi.config.metric import of_rows
from fdi.track.files import METRICS, PROBE, spared, tell
from fdi.track.record import TRAINED, initial_state, learning_curve, look

TARGET, BASELINES = "init._target_", "fdi.init.baselines."
OWN = "own runs"
EXAMPLE = "fdi-run -m init=kaiming,fluct 'seed=range(3)'"  # makes runs, where there are none
GROUP = "fdi.studies"
READOUT, SPLITS = "readout", ("train", "valid")
CSV_COLUMNS = ("epoch", "phase")
VALID = "valid/accuracy"
TEXTS = ("population", "expected")


@dataclass(frozen=True)
class Results:
    """Three tables that share the columns `collect.KEYS`, and the `folder` of the runs, which may
    hold other measurements.

    `runs`: the columns of fdi.analysis.collect; `source`, where a run comes from; and `baseline`,
    whether its initialization is one. `curves`: accuracies and rates. `probe`: initial states.
    Where `curves` or `probed` are None, what figures and tables need of them is read from the
    folders of the runs.
    """

    runs: Runs
    curves: pd.DataFrame | None
    probed: pd.DataFrame | None
    folder: Path

    @cached_property
    def probe(self) -> pd.DataFrame:
        return probes(self.runs) if self.probed is None else self.probed

    def probe_of(self, runs: Runs) -> pd.DataFrame:
        """The initial states of some of the runs."""
        return self.probe[self.probe["path"].isin(runs["path"])]

    @property
    def layers(self) -> pd.DataFrame:
        """The initial states of the hidden populations."""
        return self.probe[self.probe["population"] != READOUT]

    def of(self, runs: Runs) -> Results:
        """The same of some of the runs; the initial states stay those of all."""
        return replace(self, runs=runs, probed=self.probe)

    def curves_of(self, runs: Runs) -> pd.DataFrame:
        """The learning curves of some of the runs."""
        if self.curves is not None:
            return self.curves[self.curves["path"].isin(runs["path"])]
        curves = read_curves(runs)  # with what the runs are judged by in place of an accuracy
        for text in runs[METRIC].dropna().unique() if METRIC in runs else ():
            for split in SPLITS:
                if (own := f"{split}/{of_rows([text]).name}") in curves:
                    values, usual = curves.pop(own), f"{split}/accuracy"
                    curves[usual] = curves[usual].fillna(values) if usual in curves else values
        return curves

    def csv(self, name: str) -> pd.DataFrame:
        """`<name>.csv` of the folder, with its first line, a comment, as the column `source`; empty
        where there is no such file.
        """
        path = self.folder / f"{name}.csv"
        if not path.exists():
            return pd.DataFrame()
        with path.open(encoding="utf-8") as file:
            first = file.readline()
        source = first.removeprefix("#").strip() if first.startswith("#") else str(path)
        return pd.read_csv(path, comment="#").assign(source=source)


def own(results: Path) -> Results:
    """The runs below `results`/runs."""
    return of_runs(runs(results), results)


def of_runs(table: Runs, results: Path) -> Results:
    """Some of the runs below `results`/runs: rows of `collect.runs`. Raises fdi.Mistake for a table
    of something else.
    """
    checked(table)
    return Results(with_origin(table, OWN), None, None, results)


def with_origin(table: pd.DataFrame, source: str | pd.Series) -> pd.DataFrame:
    """`table` with the columns `source` and `baseline`."""
    targets = table[TARGET] if TARGET in table else pd.Series("", index=table.index, dtype=str)
    baseline = [str(target).startswith(BASELINES) for target in targets]
    return table.assign(source=source, baseline=baseline)


@cache
def studies() -> tuple[ModuleType, ...]:
    """The packages of the studies that are installed; a line for one that cannot be imported."""
    modules = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        with spared(f"the study {entry.module}"):
            try:
                modules.append(entry.load())
            except ModuleNotFoundError as error:  # uninstalled in parts
                if not f"{entry.module}.".startswith(f"{error.name}."):
                    raise
    return tuple(modules)


def of_folder(folder: Path) -> Results:
    """The measurements that a study keeps in `folder`, or the runs below `folder`/runs."""
    for study in studies():
        with spared(f"the reference of {study.__name__}"):
            measured = study.reference(folder) if hasattr(study, "reference") else None
            if measured is not None:
                checked(measured.runs)
                return measured
    return own(folder)


def comparable(runs: Runs, varied: Sequence[str] = ()) -> pd.DataFrame:
    """The runs that figures show: the user's own, and of those of studies the ones that differ
    from the PLAIN of a study in `varied` keys only. A run that does not mention a key has its
    value.
    """
    shipped = runs["source"] != OWN
    for study in studies():
        with spared(f"PLAIN of {study.__name__}"):
            for key, value in getattr(study, "PLAIN", {}).items():
                if key not in varied and key in runs:
                    other = shipped & runs[key].notna() & (runs[key] != value)
                    runs, shipped = runs[~other], shipped[~other]
    return runs


def read_curves(table: pd.DataFrame) -> pd.DataFrame:
    """The learning curves of the runs in `table`; texts are categories. A half-written last row is
    dropped; a run whose metrics.csv is damaged has no rows, which a warning says.
    """
    parts = []
    done = table["state"].isin(TRAINED) & table["epoch"].notna()
    for place, (path, epochs, over) in enumerate(zip(table["path"], table["epoch"], done)):
        try:
            rows = _metrics(path, int(epochs) if over else None)
        except (OSError, ValueError, OverflowError):
            tell(f"{path}: {METRICS} is damaged; this learning curve is left out")
        else:
            parts.append(rows.assign(**{AT: place}))
    if not any(map(len, parts)):
        return pd.DataFrame(columns=[*KEYS, *CSV_COLUMNS])
    rows = pd.concat([part for part in parts if len(part)], ignore_index=True)
    places = rows.pop(AT)
    rows["phase"] = rows["phase"].astype("category")
    for i, key in enumerate(KEYS):
        values = table[key] if key == "seed" else table[key].astype("category")
        rows.insert(i, key, values.iloc[places].array)
    return rows


def _metrics(path: str, epochs: int | None) -> pd.DataFrame:
    """The whole rows of a metrics.csv, none before the first checkpoint of its run. Raises OSError
    or ValueError if it cannot be read, is not what the run wrote, a row has too many or too few
    values, or the epochs are not 1, 2, 3, ...
    """
    text = learning_curve(Path(path), look(Path(path)))
    header, *rows = text[: text.rfind("\n") + 1].splitlines() or [""]
    names = header.split(",")
    if not header and not epochs:
        return pd.DataFrame()
    whole = all(row.count(",") == len(names) - 1 for row in rows)
    if names[0] != "epoch" or "phase" not in names or not whole:
        raise ValueError(path)
    types = dict.fromkeys(names, float) | {"epoch": int, "phase": str}
    curve = pd.read_csv(io.StringIO("\n".join([header, *rows])), dtype=types, index_col=False)
    if [*curve["epoch"]] != [*range(1, (epochs or len(rows)) + 1)]:
        raise ValueError(path)
    return curve


def probes(table: pd.DataFrame) -> pd.DataFrame:
    """The initial states of the runs in `table`. One that is not what its run measured has no rows,
    which a warning says.
    """
    rows, places = [], []
    for place, path in enumerate(table["path"]):
        directory = Path(path)
        run = look(directory)
        state = initial_state(directory, run)
        if PROBE in run.files and not state:
            tell(f"{path}: {PROBE} is damaged; this initial state is left out")
        rows += state
        places += [place] * len(state)
    if not rows:
        return pd.DataFrame(columns=[*KEYS, "population"])
    measured = pd.DataFrame.from_records(rows).drop(columns=[*KEYS], errors="ignore")
    numbers = [name for name in measured if name not in TEXTS]
    keys = table[list(KEYS)].iloc[places].reset_index(drop=True)
    return pd.concat([keys, measured.astype(dict.fromkeys(numbers, float))], axis=1)


OWNERS = ("dataset.", "model.", "neuron.", "init.")  # keys that an initial state depends on


def measured_states(results: Results) -> Iterator[tuple[dict[str, str], list[Any]]]:
    """For each initial state: the texts that tell it from others, and the rows of its probes, those
    of one run for each seed. Runs that differ only in their training share an initial state.
    """
    runs = results.runs[results.runs["path"].isin(results.probe["path"])]
    runs = runs[runs["state"] != "broken"].assign(state="done")
    if runs.empty:
        return
    columns = [
        name
        for name in condition_columns(runs)
        if name in (*LABELS, *SHARED) or name.startswith(OWNERS)
    ]
    states = [runs.iloc[places].drop_duplicates("seed") for _, places in conditions(runs, columns)]
    found = results.probe_of(pd.concat([seeds[list(KEYS)] for seeds in states]))
    rows = found.astype(object).where(found.notna(), None)  # None for unknown numbers
    layers: dict[str, Any] = {
        path: layers_of.to_dict("records") for path, layers_of in groups(rows, "path", sort=False)
    }
    for seeds in states:
        first = seeds.iloc[0]
        labels = {name: shown(first[name]) for name in columns if pd.notna(first[name])}
        yield labels, [layers.get(path, []) for path in seeds["path"]]


OF_STATES = (
    "initial states, means over n seeds, of gradients medians: standard deviation of the membrane "
    "potential without reset in units of the threshold, its target, firing rate, norm of the "
    "gradient of the task (*: every element is below the effective floor of eps), and by which "
    "factor the standard deviation differs from its target at most (2/3: in 2 of 3 seeds)"
)
NUMBERS = {"sigma_U": "measured_sigma_u", "target": "target_sigma_u", "rate (Hz)": "rate"}


def states_in_words(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows of `fdi.cli.summary.state_rows` as text; what a state lacks is empty."""
    keys = dict.fromkeys(key for row in rows for key in [*row][: [*row].index("n")])
    columns = {key: [str(row.get(key, "")) for row in rows] for key in (*keys, "n", "layer")}
    for name, key in NUMBERS.items():
        form = ".1f" if key == "rate" else ".2f"
        columns[name] = [number(row[key], form) for row in rows]
    columns["gradient"] = [
        number(row["gradient"], ".2g") + "*" * row["below_floor"] for row in rows
    ]
    columns["verdict"] = [
        row["verdict"] + f" ({row['agree']}/{row['n']})" * (row["agree"] < row["n"]) for row in rows
    ]
    return pd.DataFrame(columns, dtype=str)
