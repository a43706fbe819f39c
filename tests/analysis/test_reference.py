"""Runs out to the files of the reference and back."""

from __future__ import annotations

import gzip
import runpy
import shlex
from pathlib import Path
from typing import Any

import making
import pandas as pd
import pytest
from making import EVIDENCE

from fdi.analysis.collect import KEYS
from fdi.analysis.results import own, read_curves
from fdi.analysis.summary import summarize
from fdi.cli.cells import compose_cells
from fdi.cli.run import parse
from fdi.study.measured import read_export

REFERENCE = Path(__file__).parents[2] / "results" / "reference"

ORIGIN = {
    "command": "/home/me/.venv/bin/fdi-run -m paths.data=/home/me/data seed=0,1",
    "commit": "a" * 40,
    "platform": "secret",
    "torch": "2.9",
}

SCRIPT = Path(__file__).parents[2] / "scripts" / "study" / "export_reference.py"
export = runpy.run_path(str(SCRIPT))["export"]


MADE: dict[str, Any] = {
    "curve": [0.25, 0.125],
    "config": {"init.nu": "auto"},
    "probe": [{"population": "h1", "rate": 3.0}, {"population": "h2", "rate": 2.0}],
}


def origin(seed):
    return {"origin": ORIGIN, "evidence": EVIDENCE | {"split": f"{seed:08x}"}}


@pytest.fixture
def exported(write_run, tmp_path):
    for seed in (0, 1):
        for init in ("fluct", "kaiming"):
            write_run(init, seed, 0.5 + seed / 10, **MADE, **origin(seed))
    write_run("xavier", 0, None)
    assert export(tmp_path, tmp_path / "reference") == 4
    return tmp_path / "reference"


def test_the_same_tables_come_back(exported, tmp_path):
    back, mine = read_export(exported), own(tmp_path)
    assert set(back.runs["source"]) == {"results/reference, commit aaaaaaa"}
    done = mine.runs[mine.runs["state"] == "done"]
    pd.testing.assert_frame_equal(summarize(back.runs), summarize(done), check_dtype=False)
    assert tuple(back.curves.columns[: len(KEYS)]) == KEYS
    assert back.curves is not None
    assert back.probe is not None
    assert back.curves["valid/accuracy"].tolist() == read_curves(done)["valid/accuracy"].tolist()
    assert back.probe[["population", "rate"]].value_counts().to_dict() == {
        ("h1", 3.0): 4,
        ("h2", 2.0): 4,
    }
    assert set(back.curves["path"]) == set(back.probe["path"]) == set(back.runs["path"])


def test_provenance_names_no_folder_of_the_machine(exported):
    provenance = pd.read_csv(exported / "provenance.csv")
    assert provenance["command"].tolist() == ["fdi-run -m paths.data=data seed=0,1"]
    assert "platform" not in provenance
    assert set(read_export(exported).runs["data_checksum"].astype(int)) == {0, 1}


def test_a_second_export_replaces_and_adds(exported, write_run, tmp_path):
    before = {file.name: file.read_bytes() for file in exported.rglob("*.csv*")}
    assert export(tmp_path, exported) == 4
    assert before == {file.name: file.read_bytes() for file in exported.rglob("*.csv*")}
    write_run("fluct", 2, 0.9, curve=[0.5, 0.75])
    assert export(tmp_path, exported) == 5
    found = read_export(exported).runs.set_index(["init", "seed"])["source"]
    assert found["fluct", 2] == "results/reference, commit unknown"


def test_what_was_repeated_with_later_numerics_goes(exported, write_run, tmp_path):
    later = {"evidence": EVIDENCE | {"numerics": EVIDENCE["numerics"] + 1}}
    for left, seed in enumerate((2, 3)):
        write_run("fluct", seed, 0.9, **MADE, **later)
        assert export(tmp_path, exported) == 5 - left, "only for as many seeds"
    back = read_export(exported)
    assert set(back.runs.loc[back.runs["init"] == "fluct", "seed"]) == {2, 3}
    assert back.curves is not None
    assert set(back.curves["path"]) == set(back.probe["path"]) == set(back.runs["path"])


def test_columns_stay_in_their_order(exported, write_run, tmp_path):
    """Whichever file is read first: a file without new runs does not change."""
    write_run("fluct", 0, 0.9, dataset="digits", curve=[0.5, 0.75])
    export(tmp_path, exported)
    path = exported / "curves/randman_dense.csv.gz"
    table = pd.read_csv(path)
    table[[*table.columns[:-2], *table.columns[:-3:-1]]].to_csv(path, index=False)
    before = gzip.decompress(path.read_bytes())
    export(tmp_path, exported)
    assert gzip.decompress(path.read_bytes()) == before


def test_a_number_stays_one_number_where_others_have_lists(write_run, tmp_path):
    folder = tmp_path / "reference"
    for seed, pool in enumerate((1, None, 1, [1, 2])):  # a whole number, and none: a float
        config = {} if pool is None else {"model.pool": pool}
        write_run("fluct", seed, 0.5, curve=[0.25], config=config, **origin(0))
        export(tmp_path, folder)
    assert read_export(folder).runs["model.pool"].nunique() == 2
    text = pd.read_csv(folder / "runs.csv.gz", dtype=str)["model.pool"]
    assert set(text.dropna()) == {"1", "[1, 2]"}


def test_long_curves_are_thinned(write_run, tmp_path):
    write_run(curve=[i / 200 for i in range(200)])
    export(tmp_path, tmp_path / "reference")
    kept = read_export(tmp_path / "reference").curves
    assert kept is not None
    epochs = kept["epoch"].tolist()
    assert epochs[:11] == [*range(1, 11), 12]
    assert epochs[-1] == 200
    assert len(epochs) < 70


def test_what_the_probe_measured_meanwhile_is_kept(write_run, tmp_path, monkeypatch):
    metrics = making._metrics

    def probed(*given: Any) -> str:
        head, *rows = metrics(*given).splitlines()
        said = ["0.5" if epoch % 35 == 0 else "" for epoch in range(1, len(rows) + 1)]
        return "\n".join([f"{head},probe/fano/h1", *map(",".join, zip(rows, said)), ""])

    write_run("kaiming", curve=[0.25] * 200)
    monkeypatch.setattr(making, "_metrics", probed)
    write_run("fluct", curve=[0.25] * 200)
    export(tmp_path, tmp_path / "reference")
    kept = read_export(tmp_path / "reference").curves
    assert kept is not None
    assert kept.loc[kept["probe/fano/h1"].notna(), "epoch"].tolist() == [35, 70, 105, 140, 175]
    files = {file.name: set(pd.read_csv(file)["init"]) for file in tmp_path.glob("reference/c*/*")}
    assert files == {
        "randman_dense.csv.gz": {"kaiming"},
        "randman_dense_probed.csv.gz": {"fluct"},
    }


def test_nothing_to_export_is_an_error(write_run, tmp_path):
    write_run("fluct", 0, None)
    with pytest.raises(ValueError, match="no finished runs"):
        export(tmp_path, tmp_path / "reference")


def test_no_reference_is_empty(tmp_path):
    found = read_export(tmp_path)
    assert found.runs.empty
    assert found.curves.empty
    assert found.csv("membrane").empty


def directories(*words):
    return {"/".join(cell.directory.parts[-4:]) for cell in compose_cells(parse(words))}


@pytest.mark.slow
def test_commands_of_the_reference_make_its_runs():
    """Not those of `dataset.root`, whose data are elsewhere. Ids are of later versions."""
    commands = pd.read_csv(REFERENCE / "provenance.csv").set_index("provenance")["command"]
    runs = read_export(REFERENCE).runs
    for provenance, command in commands[
        commands.str.contains(
            "experiment=recurrent_alpha|fdi-run -m init=|experiment=.*dataset=digits.*seed=[01]"
        )
    ].items():
        paths = runs.loc[runs["provenance"] == provenance, "path"]
        found = set(paths.str.rpartition("-")[0])
        assert found
        assert found <= {name.rpartition("-")[0] for name in directories(*shlex.split(command)[1:])}
