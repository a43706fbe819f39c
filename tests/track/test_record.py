"""A record certifies itself: what was edited, has rotted, lies in the folder of another run, or is
of another version counts nowhere, and is not gone on with.
"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from making import SMALL, edit, numbers, one_line, write_run

import fdi
from fdi.cli import status, table
from fdi.track import record
from fdi.track.files import CHECKPOINT, METRICS, PROBE, RUN

SEEDS = (0, 1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """Results with two seeds of a run."""
    results = tmp_path_factory.mktemp("whole")
    for seed in SEEDS:
        fdi.run(**SMALL, seed=seed, results=results)
    return results


@pytest.fixture
def results(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "results"))


def folder(results: Path, seed: int) -> Path:
    (path,) = results.glob(f"runs/*/*/*/seed={seed}-*")
    return path


def averaged(results: Path, capsys) -> tuple[int, float]:
    """Number of runs and mean accuracy of the one row that fdi-table prints."""
    capsys.readouterr()
    assert table.main(["--csv", "--results", str(results)]) == 0
    (row,) = pd.read_csv(io.StringIO(capsys.readouterr().out)).to_dict("records")
    return int(row["n"]), float(row["accuracy"])


def edited(key: str, value: Any) -> Callable[[Path], object]:
    return lambda path: edit(path, key, value)


def sealed(**values: Any) -> Callable[[Path], object]:
    """Other values, with the seal that fdi would give them."""
    return lambda path: record.write(path, replace(record.whole(path), **values))


def measured(key: str, value: Any) -> Callable[[Path], object]:
    """Another number in the result, sealed."""

    def change(path: Path) -> None:
        run = record.whole(path)
        record.write(path, replace(run, result={**(run.result or {}), key: value}))

    return change


def other_configuration(path: Path) -> None:
    run = record.whole(path)
    record.write(path, replace(run, config=run.config | {"optimizer": {"lr": 1.0}}))


def rotten(path: Path) -> None:
    content = bytearray((path / RUN).read_bytes())
    content[content.index(b"valid_accuracy_last") + 1] ^= 1
    (path / RUN).write_bytes(content)


def of_another_seed(path: Path) -> None:
    shutil.copyfile(folder(path.parents[4], 1) / RUN, path / RUN)


def without_record(path: Path) -> None:
    (path / RUN).unlink()


def of_a_later_version(path: Path) -> None:
    content = json.loads((path / RUN).read_text()) | {"more": 1}
    content["seal"] = record._seal(content)
    (path / RUN).write_text(json.dumps(content))


def holding(text: str) -> Callable[[Path], object]:
    return lambda path: (path / RUN).write_text(text)


SEAL = "edited or damaged"
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "a number": (edited("result.test_accuracy_last", 0.99), SEAL),
    "a value of the configuration": (edited("config.optimizer.lr", 0.5), SEAL),
    "an option that makes no numbers": (edited("config.device", "cuda"), SEAL),
    "the numerics": (edited("evidence.numerics", 1), SEAL),
    "a key": (edited("mine", 1), SEAL),
    "no seal": (edited("seal", None), SEAL),
    "rotten": (rotten, SEAL),
    "nothing": (holding(""), "empty"),
    "half": (holding('{"config": {'), "Expecting"),
    "a list": (holding("[1]"), SEAL),
    "nested": (holding("[" * 10**5), "recursion"),
    "no text": (holding("\udcff".encode("utf-16", "surrogatepass").decode("latin-1")), "Expecting"),
    "of another seed": (of_another_seed, "in another folder"),
    "of another configuration": (other_configuration, "in another folder"),
    "of a later version": (of_a_later_version, "written by a newer fdi"),
    "without record": (without_record, "not there"),
    "too good": (measured("valid_accuracy_last", 2.0), "valid_accuracy_last = 2.0"),
    "too bad": (measured("valid_accuracy_last", -1), "valid_accuracy_last = -1"),
    "no number": (measured("test_accuracy_best", "0.5"), "test_accuracy_best = 0.5"),
    "nan": (measured("test_accuracy_last", float("nan")), "test_accuracy_last = nan"),
    "half tested": (measured("test_accuracy_last", None), "test_accuracy_last is missing"),
    "a result of none": (sealed(result=[1]), "result = [1]"),
    "evidence of none": (sealed(evidence="2"), "evidence = 2"),
    "without result": (sealed(result=None), "done, without a result"),
    "a state of none": (sealed(state="fine"), "state = fine"),
    "an epoch": (sealed(epoch=-1), "epoch = -1"),
    "tags": (edited("tags", "draft"), "tags = draft must be a list"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_not_whole_is_one_line_in_no_row_and_not_gone_on_with(results, case, capsys):
    harm, said = BROKEN[case]
    path, other = (folder(results, seed) for seed in SEEDS)
    kept = (record.whole(other).result or {})["test_accuracy_last"]
    harm(path)
    run = record.look(path)
    assert run.state == "broken"
    assert said in run.reason
    assert len((run.error or "").splitlines()) == 1
    assert averaged(results, capsys) == (1, pytest.approx(kept))
    assert status.main(["--results", str(results)]) == 0
    assert said in " ".join(capsys.readouterr().out.split())
    left = {file: file.read_bytes() for file in path.rglob("[!.]*") if file.is_file()}
    for command in (fdi.run, fdi.probe):
        with one_line("put the file back, or delete the folder"):
            command(**SMALL, results=results)
    assert {file: file.read_bytes() for file in left} == left
    assert record.look(path).state == "broken"


def test_any_flipped_bit_is_seen_or_changes_nothing_but_tags_and_note(tmp_path):
    path = write_run(tmp_path, tags=["mine"], note="as in May")
    content, known = (path / RUN).read_bytes(), record.whole(path)
    rng = random.Random(0)
    for _ in range(600):
        place = rng.randrange(len(content))
        spoiled = bytearray(content)
        spoiled[place] ^= 1 << rng.randrange(8)
        (path / RUN).write_bytes(spoiled)
        found = record.look(path)
        assert found.state == "broken" or replace(found, tags=known.tags, note=known.note) == known


def test_the_initial_state_of_a_broken_record_counts_nowhere(results, capsys):
    (folder(results, 0) / RUN).write_text("x{")
    assert table.main(["--probe", "--csv", "--results", str(results)]) == 0
    found = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert set(found["n"]) == {1}
    assert "data" not in found


@pytest.mark.parametrize(("key", "value"), [("tags", ["final", 1]), ("note", "mine")])
def test_tags_and_note_may_be_edited(results, key, value, capsys):
    before, _ = averaged(results, capsys)
    edit(folder(results, 0), key, value)
    run = record.look(folder(results, 0))
    assert (run.state, getattr(run, key)) == ("done", value)
    assert averaged(results, capsys)[0] == before == 2


def test_a_record_may_be_copied_with_its_folder(results, whole, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    shutil.move(results / "runs", tmp_path / "elsewhere" / "runs")
    assert record.whole(folder(tmp_path / "elsewhere", 0)) == record.whole(folder(whole, 0))


TABLES = {METRICS: ("0.", "1."), PROBE: ("0.", "1.")}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("harm", ["edited", "deleted"])
def test_a_table_that_is_not_what_the_run_wrote_is_left_out(results, name, harm, capsys, caplog):
    path, other = (folder(results, seed) for seed in SEEDS)
    kept = (path / name).read_text()
    (path / name).unlink()
    if harm == "edited":
        (path / name).write_text(kept.replace(*TABLES[name], 1))
    assert record.look(path).state == "done", "its result is as it was"
    assert averaged(results, capsys)[0] == 2
    if name == METRICS:
        assert table.main(["--curves", str(results / "all.csv"), "--results", str(results)]) == 0
        assert set(pd.read_csv(results / "all.csv")["path"]) == {str(other)}
        longer = fdi.run(**SMALL | {"trainer.epochs": 3}, results=results)
        assert "goes on after" not in capsys.readouterr().out
        assert longer.directory != path
    else:
        assert table.main(["--probe", "--csv", "--results", str(results)]) == 0
        assert set(pd.read_csv(io.StringIO(capsys.readouterr().out))["n"]) == {1}
        with one_line(f"{PROBE} was changed .*; put it back"):
            fdi.probe(**SMALL, results=results)
    (line,) = [text for text in caplog.messages if str(path) in text]
    assert f"{name} is damaged" in line
    (path / name).write_text(kept)
    assert list(fdi.probe(**SMALL, results=results)["population"]) == ["h1", "readout"]


def test_an_initial_state_of_other_data_does_not_stay_with_a_run(tmp_path):
    """A run with probe=none in the folder of a measurement that was made of other data."""
    fdi.probe(**SMALL, results=tmp_path)
    path = folder(tmp_path, 0)
    run = record.whole(path)
    record.write(path, replace(run, evidence={**(run.evidence or {}), "data": "0123"}))
    fdi.run(**SMALL, results=tmp_path, probe="none")
    assert numbers(path)["probe"] is None
    assert record.look(path).state == "done"


def test_a_run_that_ended_goes_on_from_its_checkpoint_where_its_record_is_that_of_before(results):
    path = folder(results, 0)
    known, run = numbers(path), record.whole(path)
    record.write(path, replace(run, state="interrupted", result=None, epoch=1))
    assert (path / CHECKPOINT).exists()
    fdi.run(**SMALL, results=results)
    assert numbers(path) == known


@pytest.mark.parametrize("code", [{}, {"init": "of another time"}])
def test_a_training_that_stopped_keeps_its_evidence_when_its_initial_state_is_measured(
    results, code
):
    path = folder(results, 0)
    (path / PROBE).unlink()
    known = (record.whole(path).evidence or {}) | {"code": code, "numerics": 1}
    record.change(path, state="interrupted", result=None, epoch=1, evidence=known)
    if code:
        with one_line("other code"):
            fdi.probe(**SMALL, seed=0, results=results)
    else:
        fdi.probe(**SMALL, seed=0, results=results)
        assert record.look(path).state == "interrupted"
    assert (record.whole(path).evidence, record.whole(path).epoch) == (known, 1)


def test_a_folder_that_may_not_be_read_is_broken(tmp_path):
    path = write_run(tmp_path, seed=0)
    path.chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        run = record.look(path)
    finally:
        os.seteuid(user)
        path.chmod(0o700)
    assert run.state == "broken"
    assert "Permission denied" in run.reason


def test_a_longer_run_does_not_go_on_from_a_damaged_checkpoint(results):
    path = folder(results, 0)
    content = (path / CHECKPOINT).read_bytes()
    (path / CHECKPOINT).write_bytes(content[: len(content) // 2])
    epochs = record.whole(path).config["trainer"]["epochs"] + 1
    longer = {**SMALL, "trainer.epochs": epochs, "seed": 0, "results": results}
    assert (fdi.run(**longer).result or {})["epochs"] == epochs


def test_how_far_an_interrupted_run_came():
    stopped = record.Run(config={}, state="interrupted")
    assert stopped.reason == "before training"
    assert replace(stopped, epoch=2, epochs=5).reason == "after epoch 2 of 5"


def test_the_record_of_a_finished_run_is_read_again_for_others_only_where_it_changed(
    tmp_path, monkeypatch
):
    given = {"quantize": None}
    short, longer = (write_run(tmp_path, config=given | {"trainer.epochs": n}) for n in (10, 20))
    config = record.whole(longer).config
    assert record.shorter(longer, config) == [(10, short)]
    read: list[Path] = []
    monkeypatch.setattr(record, "look", lambda of: read.append(of) or record.Run())
    assert record.shorter(longer, config) == [(10, short)]
    assert not read
    record.change(short, note="again")
    assert record.shorter(longer, config) == []
    assert read == [short]
