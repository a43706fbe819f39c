"""Each field of a record has a type: what does not fit is a broken run, one line, and the others
are shown as if it were not there. The fields are those of the table, never listed here.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e.commands import TINY, Command
from making import write_run

import fdi
from fdi.cli import figures, report, status, table
from fdi.config import Mistake
from fdi.track import record
from fdi.track.fields import FIELDS
from fdi.track.files import RUN, tell

BAD: dict[str, Any] = {
    "text": "n/a",
    "number": 3.5,
    "null": None,
    "list": [1],
    "dict": {"a": "b"},
    "nan": float("nan"),
    "surrogate": "\udc80",
    "huge": 10**400,
}
SHOWN: dict[str, Callable[[Path], int]] = {
    "status": lambda results: status.main(["--results", str(results)]),
    "table": lambda results: table.main(["--full", "--results", str(results)]),
    "report": lambda results: report.main(["--results", str(results)]),
    "figures": lambda results: figures.main(
        ["--own", "--results", str(results), "--out", "drawn", "learning_curves"]
    ),
}


def spoil(path: Path, name: str, value: Any) -> None:
    """The record of a folder with another value of a field, sealed again."""
    content = json.loads((path / RUN).read_text())
    *nodes, last = name.split(".")
    inside = content
    for node in nodes:
        inside[node] = inside.get(node) or {}
        inside = inside[node]
    inside[last] = value
    del content["seal"]
    (path / RUN).write_text(json.dumps(content | {"seal": record._seal(content)}))


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    curve = [0.2, 0.5, 0.7]
    for init, seed in (("fluct", 0), ("fluct", 1), ("kaiming", 0), ("kaiming", 1)):
        write_run(tmp_path / "results", init, seed, 0.5 + seed / 100, curve=curve)
    return tmp_path / "results"


@pytest.mark.parametrize("name", FIELDS)
def test_what_does_not_fit_is_a_broken_run_that_names_the_field(results, name):
    path = write_run(results, "fluct", 7, 0.5)
    whole, broken = (path / RUN).read_text(), 0
    for value in BAD.values():
        (path / RUN).write_text(whole)
        spoil(path, name, value)
        found = record.look(path)
        if found.state == "broken" and f"{name} = " in found.reason:
            broken += 1
            assert "\n" not in found.reason
        elif found.state != "broken":
            assert FIELDS[name].admits(value)
    assert broken >= 2, "a table that admits all refuses nothing"


@pytest.mark.parametrize("command", SHOWN)
def test_the_others_are_shown_as_if_it_were_not_there(results, command, capsys, caplog):
    """One run for each field, with a value that does not fit."""
    assert SHOWN[command](results) == 0
    alone = capsys.readouterr().out
    bad = [
        (name, value)
        for at, (name, kind) in enumerate(FIELDS.items())
        for value in [[value for value in BAD.values() if not kind.admits(value)][at % 3 - 1]]
        if not name.startswith("config")
    ]
    for seed, (name, value) in enumerate(bad, 100):
        spoil(write_run(results, "fluct", seed, 0.5), name, value)
    tell.cache_clear()
    caplog.clear()
    assert SHOWN[command](results) == 0
    said = capsys.readouterr()
    if command == "table":
        assert [line for line in alone.splitlines() if line.startswith("fluct")] == [
            line for line in said.out.splitlines() if line.startswith("fluct")
        ], "the same digits"
    states = {record.look(path).state for path in results.glob("runs/*/*/*/seed=1??-*")}
    assert states == {"broken"}
    told = said.out + said.err + "\n".join(caplog.messages)
    if command == "status":
        for name, _ in bad:
            assert name in told
    shutil.rmtree(results)


@pytest.mark.slow
def test_what_was_chosen_is_shown_and_chosen_again_without_what_is_broken(
    tmp_path, monkeypatch, capsys
):
    """experiment=best and its table, after 40 records of its trainings were spoilt."""
    monkeypatch.chdir(tmp_path)
    fdi_run = Command(monkeypatch, capsys)
    best = ("-m", "experiment=best", "init=kaiming,fluct", "seed=0,1", *TINY)
    assert fdi_run(*best).code == 0
    bad = sorted(Path("results").glob("runs/*/*/kaiming/seed=*-*"))[:40]
    kinds = [(name, kind) for name, kind in FIELDS.items() if not name.startswith("config")]
    for at, path in enumerate(bad):
        name, kind = kinds[at % len(kinds)]
        spoil(path, name, next(value for value in BAD.values() if not kind.admits(value)))
    tell.cache_clear()
    assert table.main(["--best"]) == 0
    again = fdi_run(*best)
    assert (again.code, again.err) == (1, "")
    broken = {line for line in again.out.splitlines() if line.startswith("broken  ")}
    assert 0 < len(broken) <= len(bad)


@pytest.mark.parametrize("name", ["note", "words", "config.paths.results", "evidence.data"])
def test_half_a_character_is_no_text(results, name):
    """JSON can spell it, and no file of text can hold it."""
    path = write_run(results, "fluct", 7, 0.5)
    spoil(path, name, "\udc80")
    assert record.look(path).state == "broken"
    assert table.main(["--runs", "runs.csv", "--results", str(results)]) == 0
    spoil(write_run(results, "fluct", 8, 0.5), "note", "\U0001f4a1")
    assert record.look(write_run(results, "fluct", 9, 0.5, note="\U0001f4a1")).state == "done"


@pytest.mark.parametrize("name", ["result.rates", "error", "origin.memory", "state"])
def test_what_loading_says_holds_no_control_characters(results, name):
    path = write_run(results, "fluct", 7, 0.5)
    spoil(path, name, {"a": "\x1b[2J"} if name != "state" else "\x1b[2J")
    with pytest.raises(Mistake) as raised:
        fdi.load(path)
    assert str(raised.value).isprintable()
