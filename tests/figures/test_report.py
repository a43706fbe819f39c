"""The report as a whole: what it leaves out, and whose style it has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import pytest

from fdi.analysis.results import own
from fdi.figures import sheet
from fdi.figures.report import html
from fdi.track import record


@pytest.fixture
def results(write_run, tmp_path) -> Path:
    write_run("fluct", 0, [0.1, 0.3, 0.5])
    write_run("kaiming", 0, [0.1, 0.2, 0.3])
    write_run("xavier", 0, [0.1], done=False)
    return tmp_path


def test_a_report_says_what_it_leaves_out(results):
    path = next(results.rglob("kaiming/*/run.json"))
    path.write_text("{")
    page = html(own(results), own(results))
    assert "<p class=said>3 runs: 1 done, " in page
    assert f"<br>broken: {path.parent}: run.json" in page


def test_a_report_says_what_the_runs_come_to_and_what_each_picture_shows(write_run, tmp_path):
    """The verdict on top, the table of conditions open, captions as text without their title."""
    for seed in range(3):
        write_run("fluct", seed, [0.1, 0.3, 0.5 + seed / 100])
        write_run("kaiming", seed, [0.1, 0.2, 0.3])
    page = html(own(tmp_path), own(tmp_path))
    assert "<p class=said>6 runs: 6 done<br>fluct is better than kaiming by 21.0 points" in page
    assert "<details open><summary>Own runs" in page
    captions = re.findall("<figcaption>(.*?)</figcaption>", page)
    assert len(captions) == page.count("<figure")
    (curves,) = [text for text in captions if "data: own runs" in text and "epoch" in text][-1:]
    assert not curves.startswith("Learning curves.")


@pytest.mark.slow
def test_a_style_that_lies_about_changes_nothing(results, tmp_path, monkeypatch):
    """LaTeX would run a preamble of whoever wrote the settings."""
    before = html(own(results), own(results))
    monkeypatch.setenv("FDI_CACHE", str(tmp_path / "empty"))
    strange: Any = {"text.usetex": True, "text.latex.preamble": r"\input{x}", "font.size": 30}
    with matplotlib.rc_context(strange):
        assert html(own(results), own(results)) == before


def test_a_name_that_looks_like_a_formula_is_drawn_as_it_is(write_run, tmp_path):
    """Of formulas only the symbols of fdi are; this one would end the command."""
    for init in ("$x^$", "$\\frac{1}$", "a $ and $_$"):
        for seed in (0, 1):
            write_run(init, seed, [0.1, 0.3, 0.5])
    page = html(own(tmp_path), own(tmp_path))
    assert 'alt="Learning curves. ' in page
    text = sheet.as_drawn(pd.DataFrame({"title": ["$\\sigma_U$ of $x^$"], "n": [1]}))
    assert text["title"].tolist() == ["$\\sigma_U$ of \\$x^\\$"]


def test_no_text_turns_the_report_around(write_run, tmp_path):
    """A sign that reverses what follows is shown as its number."""
    path = write_run("fluct", 0, [0.1, 0.3, 0.5])
    record.change(path, note="turn \u202eround", tags=["\u202e"])
    page = html(own(tmp_path), own(tmp_path))
    assert "turn \\u202eround" in page
    assert "\u202e" not in page
