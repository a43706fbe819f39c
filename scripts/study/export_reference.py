"""Add finished runs to the measurements that come with fdi:
`python scripts/study/export_reference.py [results] [reference]`. They are runs as small csv files,
with what it takes to measure them again.

runs.csv.gz                       one row per run: final numbers, config, checksum of the data,
`provenance` (a key of provenance.csv)
curves/<dataset>_<model>.csv.gz   learning curves; of trainings longer than 60 epochs about 60
epochs
curves/<dataset>_<model>_probed.csv.gz  those with what the probe measured meanwhile
probe.csv.gz                      initial states, a row per run and hidden population
provenance.csv                    command, commit, versions, machine, date
choices/<name>/choice.json        what experiment=best decided
zoo.csv                           one row per random network, initialization and setting, with the
command that makes its runs
zoo_grid.csv                      what each step size and eps reached that was tried there
zoo_states.csv                    initial states, a row per network, initial state and population
zoo_curves.csv                    their learning curves, as means over seeds

A folder of results with a zoo in it gives these four and nothing else: its runs are of networks
that nobody chose, and would count in every table of chosen ones. What these files hold of other
networks and initializations stays, so that machines can share a zoo.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from fdi.analysis import zoo
from fdi.analysis.choice import CHOICES
from fdi.analysis.collect import config_columns
from fdi.analysis.results import Results, own, probes, read_curves
from fdi.cli.cells import key_of
from fdi.cli.compose import fitting
from fdi.study.measured import CURVES, NAME, PROBES, PROVENANCE, RUNS, in_one_type, read_export
from fdi.track.files import ZOO, atomic, parse_json
from fdi.track.record import look

KEPT = ("done", "untested", "probed")
HIDDEN = shutil.ignore_patterns(".*")
EPOCHS = 60  # of a learning curve, kept
DIGITS = "%.5g"
FOLDERS = re.compile(
    r"(?<![^\s=,\[])(?:/[^\s/=,]+)+/"
)  # of absolute paths, which say nothing on another machine
DROPPED = ("platform", "host", "data", "memory", "continues")  # of an origin, which say too much


def export(results: Path, folder: Path) -> int:
    """Add the finished and the probed runs below `results`/runs to `folder`, in place of those of
    the same name.

    Returns how many runs `folder` then holds, of a zoo how many were tested. Raises ValueError if
    there is no finished run.
    """
    everything = own(results)
    if (results / ZOO).is_dir():
        return _export_zoo(everything, folder)
    runs = everything.runs
    everything = replace(everything, curves=read_curves(runs), probed=probes(runs))
    chosen = everything.runs[everything.runs["state"].isin(KEPT)]
    if chosen.empty:
        raise ValueError(f"no finished runs in {results / 'runs'}")
    origins = [_origin(Path(path)) for path in chosen["path"]]
    chosen = chosen.assign(provenance=[origin["provenance"] for origin in origins])
    provenance = pd.DataFrame(origins).drop_duplicates()
    if (known := folder / PROVENANCE).exists():
        provenance = pd.concat([pd.read_csv(known, dtype=str), provenance.astype(str)])
    write(_merged(read_export(folder), _select(everything, chosen)), provenance, folder)
    if (results / CHOICES).is_dir():
        shutil.copytree(results / CHOICES, folder / CHOICES, dirs_exist_ok=True, ignore=HIDDEN)
    return len(read_export(folder).runs)


ZOO_RUN = ["zoo", "network", "init", "setting"]
OF_A_ZOO = ("experiment", "budget", "zoo.", "tune.", "hydra", "paths.", "seed", "threads")
OF_THE_EXPERIMENT = ("optimizer.lr", "trainer.batch_size", "trainer.epochs")
MEASURED = ["train/task", "train/accuracy", "valid/accuracy"]
STATE = [
    "population", "neurons", "mean", "sigma", "rate", "silent", "grad_task_max", "weight_rms",
    "floor_steady", "floor_noisy",
]  # fmt: skip


def _export_zoo(drawn: Results, folder: Path) -> int:
    """Write the four files of a zoo, with what made it in the first line, and add what is there of
    other networks and initializations.

    Raises ValueError where a network of the same seed and place is another one there.
    """
    files = sorted((drawn.folder / ZOO).glob("*.json"))
    table, sides = zoo.members(drawn), pd.DataFrame([row for f in files for row in zoo.arms(f)])
    runs = zoo.placed(drawn).merge(sides[["zoo", "network", "setting", "run"]], on="run")
    tested = runs[runs["state"] == "done"]
    if tested.empty:
        raise ValueError(f"no finished runs of the zoo in {drawn.folder / 'runs'}")
    contents = [parse_json(file) for file in files]
    command = "; ".join(content["command"] for content in contents)
    words = [word for word in command.split() if not word.startswith("paths.")]
    origins = pd.DataFrame([_origin(Path(path)) for path in tested["path"]]).sort_values("date")
    last, commits = origins.iloc[-1], origins["commit"].str[:7].unique()
    made = (
        f"{' '.join(words)}, commit {' and '.join(commits)}, torch {last.get('torch')}, "
        f"{last.get('processor')}, {last['date']}"
    )
    told = table.assign(command=_commands(table, tested)).drop(columns="learns")
    told["words"] = told["words"].str.join(" ")
    usual = runs[(runs["setting"] == "common") & (runs["seed"] == runs["seed"].min())]
    states = probes(usual).merge(usual[["path", "zoo", "network"]], on="path")
    hidden = states[states["rate"].notna()].sort_values(ZOO_RUN[:3], kind="stable")
    tables = {
        zoo.ROWS: told,
        f"{zoo.ROWS}_grid": _grids(contents),
        f"{zoo.ROWS}_states": hidden.reindex(columns=[*ZOO_RUN[:3], *STATE]),
        f"{zoo.ROWS}_curves": _means(tested),
    }
    published = replace(drawn, folder=folder)
    for name, rows in tables.items():
        whole, source = _with_others(published.csv(name), in_one_type(rows), made)
        write_with_source(whole, folder / f"{name}.csv", source)
    return len(tested)


def _with_others(old: pd.DataFrame, new: pd.DataFrame, made: str) -> tuple[pd.DataFrame, str]:
    """`new` and, of `old`, networks and initializations that are not new; and what made both."""
    if old.empty:
        return new, made
    others, key = old.drop(columns="source"), ZOO_RUN[:3]
    both = others[others.columns.intersection([*ZOO_RUN[:2], "words"])].merge(new, on=ZOO_RUN[:2])
    if "words" in old and len(other := both[both["words_x"] != both["words_y"]]):
        raise ValueError(
            f"network {other['network'].iloc[0]} of zoo.seed={other['zoo'].iloc[0]} is another one "
            f"in the measurements: export to another folder"
        )
    others = others[~pd.MultiIndex.from_frame(others[key]).isin(pd.MultiIndex.from_frame(new[key]))]
    if others.empty:
        return new, made
    rows = _below(others, new).sort_values(ZOO_RUN[:2], kind="stable")
    return rows, f"{old['source'].iloc[0]}; and {made}"


def _commands(table: pd.DataFrame, tested: pd.DataFrame) -> list[str]:
    """What makes the runs of each row without the zoo; nothing where they were refused."""
    commands = {}
    for at, of in tested.groupby(ZOO_RUN):
        first = of.iloc[0]
        given = [w for w in look(Path(first["path"])).words if not key_of(w).startswith(OF_A_ZOO)]
        known = {*map(key_of, given)}
        given += [f"{key}={first[key]}" for key in OF_THE_EXPERIMENT if key not in known]
        seeds = ",".join(map(str, sorted(of["seed"])))
        commands[at] = f"fdi-run -m {' '.join(fitting('', given))} seed={seeds}"
    return [commands.get(tuple(row), "") for row in table[ZOO_RUN].itertuples(index=False)]


def _grids(contents: list[Any]) -> pd.DataFrame:
    """What each candidate reached on validation when a step was chosen, as means over seeds."""
    return pd.DataFrame(
        {"zoo": content["zoo"]["seed"], "network": side["network"], "init": side["init"]} | trial
        for content in contents
        for side in content["sides"]
        for trial in side["trials"]
    )


def _means(runs: pd.DataFrame) -> pd.DataFrame:
    """Learning curves of the zoo, as means over seeds."""
    rows = read_curves(runs).merge(runs[["path", "zoo", "network", "setting"]], on="path")
    of = rows.groupby([*ZOO_RUN, "epoch"], observed=True)
    return of[MEASURED].mean().reset_index()


def write_with_source(table: pd.DataFrame, path: Path, source: str) -> None:
    """A table that no command of fdi adds to, with what made it in the first line, a comment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = table.to_csv(index=False, float_format=DIGITS, lineterminator="\n")
    with atomic(path) as temporary:
        temporary.write_text(f"# {source}\n{lines}")


def write(results: Results, provenance: pd.DataFrame, folder: Path) -> None:
    """Write all files of the reference, with thinned curves and numbers of five digits."""
    told = results.runs.drop(
        columns=["modules", "tags", "note"], errors="ignore"
    )  # folders of one machine
    runs = in_one_type(told.drop(columns=["path", "error", "source", "baseline"]))
    runs = runs.sort_values(list(NAME))
    _write(runs, folder / RUNS)
    _write(
        results.probe.drop(columns=["path", "state"]).sort_values([*NAME[:4], "population"]),
        folder / PROBES,
    )
    used = provenance[provenance["provenance"].isin(runs["provenance"])].drop_duplicates(
        "provenance"
    )
    _write(used.sort_values(["date", "command", "provenance"]), folder / PROVENANCE)
    assert results.curves is not None  # only `own` may leave them in their folders
    states = results.curves.filter(regex="^probe/").notna().any(axis=1)
    probed = states.groupby(results.curves["path"], observed=True).transform("any")  # wide, and few
    kept = results.curves[_kept(results.curves) | states].drop(columns=["path", "state"])
    names = kept["dataset"].astype(str) + "_" + kept["model"].astype(str)
    for name, rows in kept.groupby(names + probed[kept.index].map({True: "_probed", False: ""})):
        thin = rows.dropna(axis=1, how="all").sort_values([*NAME[:4], "epoch"])
        _write(thin, folder / CURVES / f"{name}.csv.gz")


def _merged(old: Results, new: Results) -> Results:
    """The runs of both; where both have a run, the new one, and none that was repeated."""
    paths = set(new.runs["path"])

    def both(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
        return _below(a[~a["path"].isin(paths)], b) if len(a) else b

    assert old.curves is not None
    assert new.curves is not None  # only `own` may leave them in their folders
    runs = both(old.runs, new.runs)
    outdated = runs.loc[_repeated(runs), "path"]
    tables = runs, both(old.curves, new.curves), both(old.probe, new.probe)
    kept = [table[~table["path"].isin(outdated)] for table in tables]
    return replace(new, runs=kept[0], curves=kept[1], probed=kept[2])


def _repeated(runs: pd.DataFrame) -> pd.Series:
    """Which runs are of a condition that was repeated with later numerics and as many seeds."""
    others = {"numerics", "seed"}
    names = ["dataset", "model", "init", "state", *(set(config_columns(runs)) - others)]
    condition = pd.util.hash_pandas_object(runs[names].astype(str), index=False)
    seeds = runs.groupby([condition, runs["numerics"]])["seed"].transform("size")
    of = pd.DataFrame({"condition": condition, "numerics": runs["numerics"], "seeds": seeds})
    newest = of.sort_values("numerics").groupby("condition").transform("last").loc[of.index]
    return (of["numerics"] < newest["numerics"]) & (seeds <= newest["seeds"])


def _below(upper: pd.DataFrame, lower: pd.DataFrame) -> pd.DataFrame:
    """One table above the other; columns without a value do not decide about types."""
    columns = [*upper, *(name for name in lower if name not in upper)]
    filled = [table.dropna(axis=1, how="all") for table in (upper, lower)]
    return pd.concat(filled, ignore_index=True).reindex(columns=columns)


def _select(results: Results, kept: pd.DataFrame) -> Results:
    """The runs `kept`, with the last four folders of their paths, as in the reference."""

    def short(table: pd.DataFrame) -> pd.DataFrame:
        chosen = table[table["path"].isin(kept["path"])]
        return chosen.assign(path=["/".join(Path(path).parts[-4:]) for path in chosen["path"]])

    assert results.curves is not None
    return replace(
        results, runs=short(kept), curves=short(results.curves), probed=short(results.probe)
    )


def _origin(directory: Path) -> dict[str, Any]:
    """The row of provenance.csv of a run: its origin without folders of this machine, and the day;
    `provenance` is a hash of the rest.
    """
    run = look(directory)
    program, *words = run.origin.get("command", "unknown").split(" ")
    origin = {
        "commit": "unknown",
        **{key: value for key, value in run.origin.items() if key not in DROPPED},
        "command": " ".join([Path(program).name, *(FOLDERS.sub("", word) for word in words)]),
        "date": run.updated[:10],
    }
    return {"provenance": hashlib.sha256(json.dumps(origin).encode()).hexdigest()[:8], **origin}


def _kept(curves: pd.DataFrame) -> pd.Series:
    """The first ten epochs, every k-th, and the last one of each run."""
    epoch = curves["epoch"]
    last = epoch.groupby(curves["path"], observed=True).transform("max")
    return (epoch <= 10) | (epoch % (-(-last // EPOCHS)) == 0) | (epoch == last)


def _write(table: pd.DataFrame, path: Path) -> None:
    """Columns that the file has already stay in their order, so that it changes where runs do; what
    is compressed holds neither a time nor a name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        known = [name for name in pd.read_csv(path, nrows=0) if name in table]
        table = table[[*known, *table.columns.drop(known)]]
    with atomic(path) as temporary:
        lines = table.to_csv(index=False, float_format=DIGITS, lineterminator="\n").encode()
        if path.suffix == ".gz":
            lines = gzip.compress(lines, mtime=1)
        temporary.write_bytes(lines)


def main(results: str = "results", folder: str = "") -> int:
    """`results`: folder with runs/ in it; `folder`: where the csv files go, `results`/reference if
    it is not given.
    """
    target = Path(folder or Path(results) / "reference")
    try:
        print(f"{export(Path(results), target)} runs in {target}")
    except (ValueError, OSError) as error:
        print(f"export_reference: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
