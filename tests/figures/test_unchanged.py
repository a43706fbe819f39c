"""What would be drawn the same again is left as it is; everything else is drawn."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest

import fdi
from fdi.analysis.index import place
from fdi.analysis.results import own
from fdi.cli import figures, report
from fdi.figures import catalogue, unchanged
from fdi.figures.report import html
from fdi.figures.unchanged import DRAWN, of_page, origin

RUN = "runs/randman/dense/fluct/seed=0-00800064"


@pytest.fixture
def results(write_run, tmp_path, later) -> Path:
    write_run("fluct", 0, [0.1, 0.3, 0.5])
    write_run("kaiming", 0, [0.1, 0.2, 0.3])
    write_run("xavier", 0, [0.1], done=False)
    return tmp_path


@pytest.fixture
def drawn(monkeypatch) -> list[str]:
    """The titles of what is drawn."""
    titles: list[str] = []
    figure = catalogue.figure
    monkeypatch.setattr(
        catalogue, "figure", lambda *words: titles.append(words[0].TITLE) or figure(*words)
    )
    return titles


def test_a_report_of_unchanged_runs_draws_nothing(results, drawn, capsys):
    words = ["--results", str(results)]
    assert report.main(words) == 0
    first, page = capsys.readouterr().out, (results / report.NAME).read_bytes()
    assert drawn
    drawn.clear()
    assert report.main(words) == 0
    assert (capsys.readouterr().out, drawn) == (first, [])
    (results / report.NAME).write_text("mine")
    assert report.main(words) == 0
    assert (results / report.NAME).read_bytes() == page


@pytest.mark.slow
def test_a_damaged_learning_curve_is_told_once_each_time(results, drawn, caplog):
    (results / RUN / "metrics.csv").write_text("epoch,phase\nnothing")
    out = ["--out", str(results / "out")]
    for main, more in ((report.main, []), (figures.main, out)):
        for _ in range(3):
            caplog.clear()
            main(["--results", str(results), *more])
            (line,) = caplog.messages
            assert line.endswith(f"{RUN}: metrics.csv is damaged; this learning curve is left out")


def test_figures_of_unchanged_runs_are_not_drawn_again(results, drawn, capsys):
    words = ["--results", str(results), "--out", str(results / "out")]
    figures.main(words)
    first = capsys.readouterr()
    count = len(drawn)
    figures.main(words)
    assert (capsys.readouterr(), len(drawn)) == (first, count)
    figures.main([*words, "--own"])
    assert len(drawn) == 2 * count
    (results / "out" / "learning_curves_randman_dense.png").unlink()
    figures.main([*words, "--own"])
    assert drawn[2 * count :] == ["Learning curves"]
    figures.main(["--results", str(results), "--out", str(results / "elsewhere"), "--own"])
    assert len(drawn) == 3 * count + 1


def test_unchanged_figures_need_no_reference(results, drawn, monkeypatch):
    words = ["learning_curves", "--results", str(results), "--out", str(results / "out")]
    figures.main(words)
    monkeypatch.setattr("fdi.analysis.results.reference", lambda folder: pytest.fail("read"))
    figures.main(words)
    assert drawn == ["Learning curves"]


@pytest.mark.slow
def test_a_changed_run_and_a_damaged_entry_are_drawn_anew(results, drawn, capsys):
    words = ["--results", str(results)]
    report.main(words)
    before = (results / report.NAME).read_bytes()
    (results / RUN / "metrics.csv").write_text(
        (results / RUN / "metrics.csv").read_text().replace("0.5", "0.6")
    )
    drawn.clear()
    report.main(words)
    changed = (results / report.NAME).read_bytes()
    assert drawn
    assert changed != before
    with sqlite3.connect(place(results)) as database:
        database.execute("UPDATE entries SET content = '{}' WHERE kind = ?", (DRAWN,))
    database.close()
    capsys.readouterr()
    (results / report.NAME).unlink()
    report.main(words)
    assert capsys.readouterr().out == f"{results / report.NAME}\n"
    assert (results / report.NAME).read_bytes() == changed


@pytest.mark.slow
def test_a_report_draws_the_pages_that_have_changed(results, drawn, write_run, monkeypatch):
    words = ["--results", str(results)]
    report.main(words)
    pages = len(drawn)
    drawn.clear()
    write_run("fluct", 0, [0.1, 0.3, 0.5], model="other")
    report.main(words)
    assert drawn == ["Learning curves"]
    whole = (results / report.NAME).read_bytes()
    drawn.clear()
    with sqlite3.connect(place(results)) as database:
        database.execute("UPDATE entries SET content = 'x' || content WHERE run LIKE '% %other'")
        database.execute("DELETE FROM entries WHERE kind = ?", (DRAWN,))
    database.close()
    report.main(words)
    assert drawn == ["Learning curves"]
    assert (results / report.NAME).read_bytes() == whole
    drawn.clear()
    monkeypatch.setattr(matplotlib, "__version__", "1.0")
    report.main(words)
    assert len(drawn) == pages + 1


@pytest.mark.slow
def test_the_pictures_of_pages_that_are_gone_go_too(results, write_run):
    shutil.rmtree(results / "runs")
    for model in ("dense", "other", "third"):
        write_run("fluct", 0, [0.1, 0.3, 0.5], model=model)
    html(own(results), own(results))
    shutil.rmtree(results / "runs" / "randman" / "other")
    html(own(results), own(results))
    with sqlite3.connect(place(results)) as database:
        kept = [run for (run,) in database.execute("SELECT run FROM entries WHERE run LIKE '% %'")]
    database.close()
    assert kept == ["learning_curves randman_dense", "learning_curves randman_third"]


@pytest.mark.parametrize("values", [[1, "1"], [1, 1.0], [1, True], ["None", None], [0.1, 0.3]])
def test_pages_of_other_values_are_other_pages(values):
    one, other = (pd.DataFrame({"a": [value, "x"]}) for value in values)
    assert of_page(one, "x") == of_page(one.copy(), "x") != of_page(other, "x")
    assert of_page(one, "x") != of_page(one, "y")
    assert of_page(one.assign(a=[np.zeros(1)] * 2), "x") is None


def _code(results: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fdi, "__file__", str(results / "runs" / "__init__.py"))


def _library(_: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(matplotlib, "__version__", "1.0")


def _run(results: Path, _: pytest.MonkeyPatch) -> None:
    (results / RUN / "init.json").write_text("[]")


def _state(_: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(unchanged, "progress", lambda directory: {"state": "running"})


def _reference(results: Path, _: pytest.MonkeyPatch) -> None:
    (results / "reference" / "curves").mkdir(parents=True)
    (results / "reference" / "curves" / "randman.csv").write_text("dataset")


def _table(results: Path, _: pytest.MonkeyPatch) -> None:
    (results / "speed.csv").write_text("engine")


@pytest.mark.parametrize("change", [_code, _library, _run, _state, _reference, _table])
def test_all_that_a_picture_comes_from_counts(results, monkeypatch, change):
    before = origin(results)
    assert before is not None
    assert before == origin(results) != origin(results, "--own")
    change(results, monkeypatch)
    assert origin(results) not in (None, before)


def test_of_young_files_nothing_is_known(results, later, monkeypatch):
    monkeypatch.setattr("fdi.analysis.index.time.time", later)
    assert origin(results) is None


def test_a_report_says_what_it_leaves_out(results):
    path = next(results.rglob("kaiming/*/result.json"))
    path.write_text("{")
    page = html(own(results), own(results))
    assert "Your results hold 3 runs: 1 done, " in page
    assert f"<br>broken: {path.parent}: result.json" in page


@pytest.mark.slow
def test_a_style_that_lies_about_changes_nothing(results, tmp_path, monkeypatch):
    """LaTeX would run a preamble of whoever wrote the settings."""
    before = html(own(results), own(results))
    monkeypatch.setenv("FDI_CACHE", str(tmp_path / "empty"))
    strange: Any = {"text.usetex": True, "text.latex.preamble": r"\input{x}", "font.size": 30}
    with matplotlib.rc_context(strange):
        assert html(own(results), own(results)) == before
