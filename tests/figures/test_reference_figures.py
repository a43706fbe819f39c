"""Figures of simulations and of the benchmark, and whatever the committed reference holds."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from fdi.analysis.formats import plural
from fdi.analysis.results import OWN, Results, own
from fdi.cli import report as cli
from fdi.figures import report
from fdi.figures.catalogue import FIGURES, PROTOCOL, file_name, pages, pages_of
from fdi.figures.report import html_table
from fdi.figures.sweep import Sweep
from fdi.study import sizes, speed
from fdi.study.measured import read_export

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
KEY = "neuron.extra"
SIMULATED = ("membrane", "regimes", "alpha", "dale", "snapshot")
LONG = ("learning_curves", "instead", "depth", "calibrated", "gain", "lazy", "homeostasis")
NOT_MEASURED = (  # in the reference
    *("regime_map", "restore", "which_step", "in_training", "operations", "confusion"),
)


@pytest.fixture(scope="module")
def measured():
    return read_export(REFERENCE)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in FIGURES]
)
def test_the_reference_is_drawn(name, drawn, measured):
    """Every picture of training says its step size; `speed` and pages without a title are of none.
    The largest is drawn.
    """
    module = FIGURES[name]
    found = pages_of(module, measured)
    axis = getattr(getattr(module, "figure", None), "x", "") == "optimizer.lr"
    for page in found.values():
        title = page["title"].iloc[0] if "title" in page else "before training"
        assert axis or re.search(r"step (size )?[\d.]|before training", title), title
    if name in SIMULATED:
        simulated = found[""] if "" in found else pd.concat(found.values())
        assert simulated["source"].str.contains(f"simulate_states.py {name}, commit").all()
    if name not in NOT_MEASURED:
        drawn(module, max(found.values(), key=len))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name == "learning_curves"))
        for name in FIGURES
    ],
)
def test_no_figure_drops_runs_in_silence(name, measured):
    """Of the same runs at two values of one more key a page says which it shows, and how many runs
    of its network are on no page.
    """
    pages = {page: runs for page, (_, runs) in FIGURES[name].data(measured).items()}
    known = [runs for runs in pages.values() if runs is not None]
    assert (len(known) < len(pages)) == (name in (*SIMULATED, "zoo", "searches", "speed", "sizes"))
    if not known:
        return
    few = min(known, key=len)["path"]

    def of(table, key):
        table = table[table["path"].isin(few)]
        return table.assign(path=table["path"] if key == 1 else "again/" + table["path"])

    def both(table):
        return pd.concat([of(table, 1), of(table, 2)], ignore_index=True)

    runs = pd.concat([of(measured.runs, key).assign(**{KEY: key}) for key in (1, 2)])
    runs = runs.assign(source=OWN, state="done").reset_index(drop=True)
    curves = both(measured.curves_of(measured.runs))
    found = Results(runs, curves, both(measured.probe), measured.folder)
    told = {page: runs for page, (_, runs) in FIGURES[name].data(found).items() if runs is not None}
    missing = len(runs) - pd.concat(told.values())["path"].nunique()
    if name == "learning_curves":  # draws a line for each value of one key
        assert missing == 0
        return
    assert missing >= len(runs) / 2
    for page, shown in told.items():
        (value,), content = shown[KEY].unique(), pages_of(FIGURES[name], found)[page]
        said, _, left = content["source"].iloc[0].partition("; left out: ")
        assert f"{KEY} = {value}" in said
        assert left == content["left"].iloc[0] == f"{plural(missing, 'run')} ({KEY} = {3 - value})"


def test_a_figure_that_does_not_tell_which_runs_it_draws_is_refused(results):
    for page in (pd.DataFrame({"x": [1, 2], "y": [1, 2]}), (pd.DataFrame(), None)):
        silent = SimpleNamespace(data=lambda results: {"all": page})  # noqa: B023
        with pytest.raises(ValueError, match="'all' does not tell which runs it draws"):
            pages_of(silent, results([]))


def test_no_picture_is_there_twice(measured):
    shown = [
        (sweep.figure.x, frozenset(runs["path"]))
        for sweep in FIGURES.values()
        if isinstance(sweep, Sweep)
        for _, runs in sweep.compared(measured)
    ]
    assert len(shown) == len({*shown}) > 10


@pytest.mark.slow
def test_every_page_of_the_reference(drawn, measured):
    for name in FIGURES:
        for page in pages_of(FIGURES[name], measured).values():
            drawn(FIGURES[name], page)


def test_fastest_other_library_at_each_size(tmp_path, drawn):
    centre = dict(batch=32, units=256, density=0.05, steps=100, recurrent=False, machine="m")
    rows = [
        dict(centre, **{column: value}, axis=axis, library=name, ratio=ratio * value)
        for axis, column in sizes.COLUMNS.items()
        for value in (1, 2)
        for name, ratio in (("fdi", 1 / value), ("slow", 9.0), ("fast", 2.0))
    ]
    corner = dict(centre, batch=1, axis="", library="slow", ratio=7.0)
    pd.DataFrame([*rows, corner]).to_csv(tmp_path / "bench_sizes.csv", index=False)
    page = pages_of(sizes, own(tmp_path))[""]
    assert page["library"].value_counts().to_dict() == {"fast": 10, "slow": 1}
    _, axes = drawn(sizes, page)
    line, *dots = axes["batch"].lines[:3]
    assert line.get_ydata().tolist() == [dot.get_ydata()[0] for dot in dots] == [2, 4]
    assert all(panel.get_ylim()[0] < 2 for panel in axes.values())


def test_speed(tmp_path, drawn):
    columns = "workload,about,library,rounds,ratio,ratio_low,ratio_high,relative_to,torch,"
    libraries = (("fdi", 20.0, 18.0, 21.0), ("stork", 1.0, 1.0, 1.0))
    rows = [
        f"{w},dense {w},{name},5,{ratio},{low},{high},stork,2.9,2,a machine"
        for w in "ab"
        for name, ratio, low, high in libraries
    ]
    text = "\n".join([f"{columns}threads,machine", *rows, ""])
    (tmp_path / "bench.csv").write_text(text)
    page = pages_of(speed, own(tmp_path))[""]
    assert page["source"].iloc[0] == "bench.csv, a machine, 2 threads, torch 2.9"
    machines = page.assign(machine=["one", "one", "other", "other"])
    one, other = (f"{name}, 2 threads, torch 2.9" for name in ("one", "other"))
    assert speed.bench_page(machines)["source"].iloc[0] == f"bench.csv, a: {one}; b: {other}"
    figure, axes = drawn(speed, page)
    (panel,) = axes.values()
    assert [label.get_text() for label in panel.get_yticklabels()] == ["dense a", "dense b"]
    fdi = panel.containers[0]
    assert fdi.lines[0].get_xdata().tolist() == [20, 20]
    (bars,) = fdi.lines[2]
    assert [segment[:, 0].tolist() for segment in bars.get_segments()] == [[18, 21]] * 2
    title, details = (
        text.replace("\n", " ") for text in (figure.get_suptitle(), figure.get_supxlabel())
    )
    assert title == "Speed", "what is shown, and below it what it says"
    assert details.startswith(
        "A training step of fdi is 20 times as fast as one of stork. "
        "Training step relative to stork, the library of the paper's authors: median and quartiles "
        "of 5 rounds; "
    )


def test_own_runs_stand_before_the_reference(write_run, tmp_path, measured):
    write_run("fluct", 0, [0.1, 0.3])
    for seed in range(2):
        write_run("fluct", seed, [0.1, 0.3], model="mine")
    mine, runs = own(tmp_path), measured.runs
    theirs = measured.of(runs[runs["dataset"].isin(["randman", "poisson"])])
    found = pages(FIGURES["learning_curves"], mine, theirs)
    assert found["randman_dense_own"]["source"].unique() == ["own runs"]
    assert found["randman_dense"]["n"].max() > 1, "one seed does not replace several"
    names = list(found)
    assert names[:2] == ["randman_mine", "randman_dense_own"], "that of most runs first"
    assert names[2].startswith("randman_dense"), "and of the reference"
    assert pages(FIGURES["membrane"], mine, measured).keys() == {""}


def test_names_of_files():
    assert file_name("depth", "randman_dense") == "depth_randman_dense"
    assert file_name("membrane", "") == "membrane"


def test_report_is_one_page_with_everything_in_it(write_run, tmp_path, capsys):
    for seed in (0, 1):
        write_run("fluct", seed, [0.1, 0.3, 0.5])
        write_run("kaiming", seed, [0.1, 0.1, 0.1])
    assert cli.main(["--results", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'report.html'}\n"
    page = (tmp_path / "report.html").read_text()
    body = page.split("<body>")[1].split("<script>")[0]
    assert body.count("<img ") == 1, "the learning curves"
    assert "http" not in body, "nothing is loaded from elsewhere"
    assert "viewport" in page
    assert body.count('src="data:image/png;base64,') == 1, "it is there without JavaScript, too"
    assert re.findall(r"<summary>(\d+) other figures, and what they need</summary>", body)
    assert "<h3" not in body.split("other figures, and")[1]
    assert "scripts/" not in page, "which the wheel lacks"
    assert "<td>+40.0 undecided, n=2</td>" in page
    headings = re.findall(r'<h[23] id="([^"]*)">', body)
    links = re.findall(r'<a href="#([^"]*)">', body)
    assert headings[0] == "conditions", "claims are those of published networks"
    assert "reproduced-or-not" not in headings
    assert set(links) == set(headings) - {"figures"}, "a table of contents"
    published = "83.5 +- 1.5 [P] 3 layers"
    assert published not in page, "nobody asked"
    assert cli.main(["--results", str(tmp_path), "--claims"]) == 0
    assert published in (tmp_path / "report.html").read_text()
    assert body.count("<thead>") == body.count("<tbody>"), "a script sorts the rows of a body"
    first = re.search(r"<p class=said>(.*?)</p><nav", body)
    assert first, "what these runs are stands first"
    assert first[1].startswith("4 runs: 4 done<br>undecided between fluct (50.0 %) and kaiming")


def test_a_report_tells_what_it_draws(write_run, tmp_path):
    write_run("fluct", 0, [0.1, 0.3, 0.5])
    told: list[str] = []
    report.html(own(tmp_path), own(tmp_path), told.append)
    assert told[0] == f"figure 1 of {len(FIGURES)}: {next(iter(FIGURES))}"
    assert told[-1] == "tables"


def test_conditions_of_all_networks_are_one_table(write_run, tmp_path):
    for hidden in (64, 128):
        write_run("fluct", 0, [0.5], hidden=hidden)
    write_run("fluct", 0, [0.5], model="recurrent")
    (shown,) = [part for part in report._summary(own(tmp_path)) if "<table" in part]
    assert shown.count("<tr>") == 4
    assert "<td>hidden = 64</td>" in shown, "a filter asks for hidden=64"


def test_cells_of_the_claims_know_their_column():
    rows = pd.DataFrame({"claim": ["it learns"], "published": ["90 %"]})
    assert '<td data-column="published">90 %</td>' in html_table(rows, named=True)
    assert "<td>90 %</td>" in html_table(rows)


def test_every_figure_says_all_of_itself():
    for name, module in FIGURES.items():
        assert not [word for word in ("TITLE", *PROTOCOL) if not hasattr(module, word)], name
    places = [module.PLACE for module in FIGURES.values()]
    assert sorted(set(places)) == places
