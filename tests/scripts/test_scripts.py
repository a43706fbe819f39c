"""The scripts: all can be imported, and bench.py makes its table on a small workload."""

import importlib
import math
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from fdi.analysis.results import own
from fdi.data.inputs import Frames
from fdi.engine.reference import ReferenceEngine
from fdi.study.measured import read_export

SCRIPTS = Path(__file__).parents[2] / "scripts"
STUDY = SCRIPTS / "study"
SMALL: dict[str, Any] = dict(about="small", steps=10, batch=3, shape=(20,), sizes=(7,))


@pytest.mark.parametrize(
    "script", sorted([*SCRIPTS.glob("*.py"), *STUDY.glob("*.py")]), ids=lambda path: path.stem
)
def test_can_be_imported(script, monkeypatch):
    monkeypatch.syspath_prepend(script.parent)
    runpy.run_path(str(script), run_name="imported")


@pytest.fixture
def bench(monkeypatch):
    """The script as a module, with a machine that is measured in no time and one small workload."""
    monkeypatch.syspath_prepend(SCRIPTS)
    import bench
    from benchmark import libraries, machine, process, steps, workloads

    monkeypatch.setitem(workloads.WORKLOADS, "a", SMALL)
    monkeypatch.setattr(libraries, "LIBRARIES", {"fdi": libraries.ours.fdi})
    monkeypatch.setattr(machine, "EDGE", 16)
    monkeypatch.setattr(machine, "LENGTH", 1024)
    monkeypatch.setattr(machine, "BLOCK", (16, 16, 16, 1))
    monkeypatch.setattr(process, "TURN", 0.01)
    first = {"cold_s": 2.0, "warm_s": 1.0, "peak_mib": 3.0}
    monkeypatch.setattr(steps, "first_step", lambda *_: first)
    return bench


SIMULATED = ("rates", "question", "answer", "cure", "compared")
"""Tables of networks that run while they are written: below, and in tests/interop."""

OFTEN = ("headline", "pooling", "parts", "confirmed", "decided", "drawn", "lasting", "longer")
"""Tables of different pages that no simulation writes."""


@pytest.mark.parametrize(
    "which", ["often", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rest", "asked"))]
)
def test_tables_of_the_documentation_are_those_of_the_measurements(monkeypatch, which):
    for library in ("snntorch", "norse", "spikingjelly") if which == "asked" else ():
        pytest.importorskip(library)
    monkeypatch.chdir(SCRIPTS.parent)
    monkeypatch.syspath_prepend(STUDY)
    import update_docs
    from pages import filterable

    measured = read_export(Path("results/reference"))
    for page in update_docs.PAGES:
        tables = list(update_docs.MARKED.finditer(page.read_text()))
        assert tables
        rest = {"asked": "asked"} | dict.fromkeys(OFTEN, "often")
        tables = [found for found in tables if rest.get(found[1], "rest") == which]
        tables = [found for found in tables if found[1] not in SIMULATED]
        long: Any = {}
        filled = [update_docs.filled(found, page, measured, long) for found in tables]
        assert [found[0] for found in tables] == filled
        shelf = Path("docs", filterable.PAGE).read_text()
        assert all(filterable.section(name, *of) in shelf for name, of in long.items())


def test_the_page_of_all_tables_leads_back_and_is_whole_without_a_script(monkeypatch):
    monkeypatch.syspath_prepend(STUDY)
    from pages import filterable

    page = filterable.page({"one": ("One", "speed.html", "| a |\n| --- |\n| 1 |\n")})
    assert '<nav><a href="index.html">' in page
    assert "<td>1</td>" in page
    assert "<label hidden>" in page, "the field does nothing without its script, which shows it"
    assert "light-dark(" in page
    shelf = (SCRIPTS.parent / "docs" / filterable.PAGE).read_text()
    assert shelf.partition("<main>")[0] == page.partition("<main>")[0]
    assert shelf.partition("</main>")[2] == page.partition("</main>")[2]


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["dale", "recurrent_alpha"])
def test_experiments_say_what_they_cost(monkeypatch, experiment):
    monkeypatch.chdir(SCRIPTS.parent)
    monkeypatch.syspath_prepend(STUDY)
    from pages.costs import EXPERIMENTS, head

    text = (EXPERIMENTS / f"{experiment}.yaml").read_text()
    line = re.compile(r"^# (laptop|paper): ([0-9]+) cells, .", re.MULTILINE)
    assert line.findall(head(experiment, text)) == line.findall(text)


@pytest.mark.slow
def test_rates_of_a_snntorch_network_are_those_of_the_example(monkeypatch):
    pytest.importorskip("snntorch")
    monkeypatch.syspath_prepend(STUDY)
    from pages.libraries import rates

    page = (SCRIPTS.parent / "docs" / "howto" / "libraries.md").read_text()
    written = page.partition("<!-- table rates -->")[2].partition("<!-- end -->")[0]
    shown, found = (
        [float(word) for word in re.findall(r"\d+\.?\d*(?= [|])", text)]
        for text in (written, rates())
    )
    assert len(found) == 12  # three layers, and three rates of each
    assert shown == pytest.approx(found, rel=0.05, abs=0.01)


def test_a_table_that_the_figure_would_not_find_is_refused_before_anything_runs(
    bench, monkeypatch, capsys
):
    monkeypatch.setattr("sys.argv", ["bench.py", "--out", "x.json"])
    monkeypatch.setattr(bench, "compare", lambda *_: pytest.fail("has begun"))
    with pytest.raises(SystemExit) as ended:
        bench.main()
    assert ended.value.code == 2
    assert "--out: x.json must be a file that ends in .csv" in capsys.readouterr().err


@pytest.mark.slow
def test_table_and_figure_of_the_steps(bench, monkeypatch, tmp_path, capsys):
    out = tmp_path / "bench.csv"
    monkeypatch.setattr(
        "sys.argv", ["bench.py", "--workloads", "a", "--rounds", "2", "--out", str(out)]
    )
    monkeypatch.setattr(bench, "draw_speed", lambda path: print(f"figure of {path.name}"))
    bench.main()
    table = pd.read_csv(out).set_index("library")
    assert set(table.index) == {"fdi", "reference"}
    assert table.first_loss["fdi"] == pytest.approx(table.first_loss["reference"], rel=1e-5)
    assert table.ratio["reference"] == 1
    assert (table[["ratio", "median_ms", "above_floor", "event_gflop", "gbps"]] > 0).all(axis=None)
    assert table.event_gflop["fdi"] < table.dense_gflop["fdi"]
    if table.threads["fdi"] > 1:
        assert 0 <= table.serial["fdi"] <= 1 <= table.faster_on_32["fdi"]
        assert table.at_most["fdi"] > 0
    assert "figure of bench.csv" in capsys.readouterr().out


def test_what_does_not_compile_stands_in_the_table(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(STUDY)
    from pages.speed import steps

    columns = "workload,about,library,ratio,relative_to,peak_mib,cold_s,"
    rows = [
        f"{w},{w},{library},{numbers},1.5,2.9,2,a machine"
        for w, compiled in (("a", "4,stork,9,80"), ("b", ",stork,,"))
        for library, numbers in {
            "fdi": "20,stork,5,6",
            "stork": "1,stork,8,0.2",
            "stork (torch.compile)": compiled,
        }.items()
    ]
    (tmp_path / "bench.csv").write_text(
        "\n".join([f"{columns}above_floor,torch,threads,machine", *rows, ""])
    )
    head, _, *lines = steps(own(tmp_path)).splitlines()[:4]
    compiled = "stork (torch.compile)"
    titles = f"| network | fdi | {compiled} | stork | {compiled}: first step | fdi: time / floor |"
    assert head.startswith(titles)
    assert lines[0].startswith("| a | 20.0 (5) | 4.00 (9) | 1.00 (8) | 80 s |")
    assert lines[1].startswith("| b | 20.0 (5) | does not compile | 1.00 (8) |  |")


@pytest.mark.slow
def test_a_library_without_a_first_step_has_a_row_without_numbers(bench, monkeypatch, tmp_path):
    from benchmark import libraries, process, steps

    source = "class build:\n    def __init__(self, work): raise RuntimeError('not compiled')\n"
    (tmp_path / "peer.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    build = importlib.import_module("peer").build
    with pytest.raises(EOFError):
        process.Process(build, SMALL)
    with monkeypatch.context() as short:
        short.setattr(process, "LONGEST", 0.1)
        with pytest.raises(TimeoutError, match=r"no step in 0\.1 s"):
            process.Process(build, SMALL)
    first = steps.first_step
    monkeypatch.setattr(steps, "first_step", lambda b, work: {} if b is build else first(b, work))
    monkeypatch.setitem(libraries.LIBRARIES, "peer (torch.compile)", build)
    monkeypatch.setattr(steps, "available", lambda: {**libraries.available(), "other": build})
    rows = steps.compare("a", 2, ["reference", "peer (torch.compile)"])
    assert [row["library"] for row in rows] == ["fdi", "reference", "peer (torch.compile)"]
    assert rows[1]["ratio"] == 1
    assert "ratio" not in rows[2]
    assert rows[2]["relative_to"] == "reference"


def test_the_map_has_a_row_for_each_size_and_library(bench, monkeypatch, tmp_path):
    """Peers that are far from the fastest leave after their first turn; the centre, which all axes
    share, is measured once.
    """
    from benchmark import libraries, sizes

    monkeypatch.setattr(sizes, "CENTRE", dict(sizes.CENTRE, batch=2, units=5, steps=8))
    monkeypatch.setattr(sizes, "AXES", {"batch": ("batch", (1, 2), {}), "x": ("units", (5,), {})})
    monkeypatch.setattr(sizes, "CORNERS", (dict(recurrent=True),))
    best = {name: libraries.BEST[name] for name in ("fdi", "torch (sparse input)")}
    monkeypatch.setattr(sizes, "BEST", {**best, "torch (again)": libraries.ours.reference})
    monkeypatch.setattr(sizes, "APART", 1)
    monkeypatch.setattr("sys.argv", ["bench.py", "--map", "--rounds", "2", "--out"])
    sys.argv.append(str(tmp_path / "bench.csv"))
    bench.main()
    table = pd.read_csv(tmp_path / "bench_sizes.csv").fillna({"axis": ""})
    assert len(table) == 4 * 3
    assert table["axis"].unique().tolist() == ["batch", "x", ""]
    assert (table.loc[table["library"] == "fdi", ["ratio", "rounds"]] == [1, 2]).all(axis=None)
    assert table[table["axis"] == "x"]["cpu_ms"].tolist() == table["cpu_ms"].tolist()[3:6]
    peers = table[table["library"] != "fdi"].groupby(["axis", "batch"])
    assert peers["rounds"].agg(sorted).tolist() == [[1, 2]] * 4

    table[table["recurrent"]].to_csv(tmp_path / "bench_sizes.csv", index=False)  # interrupted
    bench.main()
    again = pd.read_csv(tmp_path / "bench_sizes.csv").fillna({"axis": ""})
    kept = again["recurrent"]
    pd.testing.assert_frame_equal(again[kept], table[table["recurrent"]])
    assert (again.loc[~kept, "cpu_ms"] != table.loc[~table["recurrent"], "cpu_ms"]).all()


def test_serial_share_of_a_step(bench):
    from benchmark.steps import amdahl

    times = [10.0, 10.0, 9.0], [5.5, 5.5, 1.0], [12.5, 12.5, 11.25]  # 1 + 9, 1 + 4.5
    found = amdahl(*times, 2)
    assert found["serial"] == pytest.approx(0.1)
    assert found["faster_on_32"] == pytest.approx(10 / (1 + 9 / 32))
    assert found["at_most"] == pytest.approx(1.6)
    assert amdahl([1.0], [1.0], [1.0], 1) == {}


def test_floor_counts_rows_of_weights_and_updates(bench):
    from benchmark import floors, workloads

    x, _ = workloads.batch(SMALL)
    net = workloads.network(SMALL)
    into, _ = floors.arrivals(net, x)
    first, last = net.projections
    assert (first.source, last.target) == ("input", "readout")
    seen = float(into.sum())
    found = floors.count(net, x)
    updates = SMALL["batch"] * SMALL["steps"] * net.hidden[0].units
    least = 4 * (3 * seen * net.hidden[0].units + 4 * updates)
    assert (
        least <= found.near + found.scattered < 1.5 * least
    )  # and the few spikes that the readout hears
    machine = dict(gflops_torch=1e9, gflops_fdi=1e9, gbps=1e9, gbps_near=2.0, gbps_scatter=4.0)
    near = found.near / 2e6 + found.scattered / 4e6
    assert floors.floors(found, machine)["event_floor_ms"] == pytest.approx(near)


@pytest.mark.parametrize("height", [16, 17])
def test_floor_counts_minimal_filtering_where_a_convolution_is_computed_so(bench, height):
    """A tile of 4 x 4 takes 36 products; one of the two links is too small for that."""
    from benchmark import floors, workloads

    work = dict(SMALL, shape=(2, height, 16), sizes=(16, 32, 32), kernel=(3,) * 3, padding=1)
    net = workloads.network(work | dict(pool=(1, 8, 1)))
    x, _ = workloads.batch(work)
    links = {q.name: q for q in net.projections}
    late, tiles = SMALL["batch"] * (SMALL["steps"] - 2), 4 * -(-height // 4)
    assert [*floors.filtered(net)] == [links["h1->h2"]]
    transforms = 120 * (16 + 32)  # by hand: 12 multiply-adds for each of 6 columns and 4 rows
    direct = floors.fan_outs(links["h2->h3"], net.hidden[1].pooled_shape).sum()
    assert floors.count(net, x).back == late * (tiles * (36 * 16 * 32 + transforms) + direct)


@pytest.mark.slow
def test_published_floors_are_those_that_are_counted(bench):
    from benchmark import floors, workloads

    table = own(SCRIPTS.parent / "results" / "reference").csv("bench")
    ours = table[(table["workload"] == "conv") & (table["library"] == "fdi")].iloc[0]
    work = workloads.WORKLOADS["conv"]
    found = floors.count(workloads.network(work), workloads.batch(work)[0])
    least = floors.floors(found, {name: ours[name] for name in ours.index if name[0] == "g"})
    assert dict(ours[[*least]]) == pytest.approx(least, rel=1e-4)
    assert ours["above_floor"] == pytest.approx(ours["median_ms"] / least["event_floor_ms"])


MAPS = dict(SMALL, shape=(2, 8, 8), sizes=(4, 5, 6), kernel=(3, 3, 3), padding=1)
NORMED = dict(MAPS, skip=True, norm="tdbn", gain=9.0)


def test_floor_counts_what_arrives_at_normalized_layers(bench, monkeypatch):
    from benchmark import floors, workloads

    monkeypatch.setattr(workloads, "DENSITY", 0.3)
    x, _ = workloads.batch(NORMED)
    net = workloads.network(NORMED)
    spikes = ReferenceEngine().simulate(net, x, record=("spikes",)).spikes
    seen = dict(zip((p.name for p in net.projections), floors.arrivals(net, x)))
    assert seen["h1->h3"].sum() > 0
    for name in ("h1->h2", "h1->h3", "h3->readout"):
        early = spikes[name[:2]][:-2].sum((0, 1))
        assert torch.equal(seen[name].double(), early.double())


def test_torch_alone_trains_the_same_network(bench):
    """Updates go ahead in another order within a step, so that all comes some steps earlier, and in
    a trial that ends in silence the same: in a layer without recurrent weights.
    """
    from benchmark import libraries

    work = dict(SMALL, steps=60, density=0.2, lr=1e-2)
    x, labels = libraries.batch(work)
    x = Frames(x.dense().swapaxes(0, 1) * (np.arange(60) < 20)[None, :, None])
    losses = []
    for build in (libraries.ours.fdi, libraries.torch.build):
        learner = build(work)
        batch = learner.put(x, labels)
        losses.append([learner.step(batch) for _ in range(10)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)
    assert losses[1][-1] < 0.8 * losses[1][0]
    recurrent = libraries.on_one_batch(libraries.torch.build, dict(work, recurrent=True))
    first, *_, last = (recurrent() for _ in range(20))
    assert last < first


@pytest.mark.parametrize("work", [NORMED, dict(MAPS, learn_tau=True, pool=(2, 2, 2))])
def test_spikingjelly_computes_what_is_trained_elsewhere(bench, monkeypatch, work):
    pytest.importorskip("spikingjelly", reason="SpikingJelly is not installed")
    from benchmark import workloads
    from benchmark.libraries import on_one_batch, spikingjelly

    monkeypatch.setattr(workloads, "DENSITY", 0.3)
    step = on_one_batch(spikingjelly.build, work)
    first, second = step(), step()
    assert first > 0
    assert second > 0
    assert first != second  # the gradient reaches the weights


def test_a_library_trains_with_the_step_size_that_validation_prefers(bench, monkeypatch, capsys):
    from benchmark import accuracy

    asked = []

    def alone(build, seed, rate, most, on_test):
        asked.append((rate, seed, most, on_test))
        needs = {0.1: 9, 0.05: 12, 0.2: 7, 0.02: 7, 0.5: math.inf, 0.01: 30}[rate]
        epochs = needs if needs <= most else math.inf
        return accuracy.Training(epochs, 2.0 * min(needs, most), 0.9)

    monkeypatch.setattr(accuracy, "alone", alone)
    rows = accuracy.measure(seeds=(0, 1))
    tuned = asked[: len(accuracy.RATES)]
    assert [most for *_, most, _ in tuned] == [30, 8, 8, 6, 6, 6]
    assert {(seed, on_test) for _, seed, _, on_test in tuned} == {(accuracy.TUNING, False)}
    assert asked[len(tuned) :] == [(0.2, 0, 30, True), (0.2, 1, 30, True)]
    assert [(row["library"], row["lr"], row["epochs"]) for row in rows] == [("fdi", 0.2, 7)] * 2
    assert "may lie outside" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_library_is_trained_until_it_classifies(bench, monkeypatch):
    from benchmark import accuracy

    monkeypatch.setattr(accuracy, "GOAL", 0.5)
    found = accuracy.train(bench.accuracy.available()["fdi"], 0, 0.1, 30, True)
    assert found.accuracy >= 0.5
    assert 1 <= found.epochs < 30
    assert found.seconds > 0
    never = accuracy.train(bench.accuracy.available()["fdi"], 0, 1e-6, 1, False)
    assert never.epochs == math.inf


@pytest.mark.slow
def test_a_library_has_a_process_of_its_own(bench, monkeypatch, tmp_path):
    from benchmark import steps

    (tmp_path / "peer.py").write_text(
        "import os\n\n"
        "class build:\n"
        "    def __init__(self, work): ...\n"
        "    def put(self, x, labels): ...\n"
        "    def step(self, batch): return os.getpid()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    build = importlib.import_module("peer").build
    losses, times = steps.in_turn({"one": build, steps.ALONE: build}, SMALL, 2)
    assert len({os.getpid(), *losses.values()}) == 3
    assert list(times) == ["one", steps.ALONE, steps.CROWD]
    assert [len(turns) for turns in times.values()] == [2, 2, 2]


@pytest.mark.slow
def test_reproduction_says_what_it_costs_and_compares_at_the_end(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(SCRIPTS.parent)
    monkeypatch.syspath_prepend(STUDY)
    import reproduce

    assert reproduce.main(["bounds", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"bounds +96 +about [\d.]+ min on 2 cores \(measured\) +here", said)
    monkeypatch.setattr(reproduce, "_here", lambda name, root: name != "randman")
    for name, count in (("bounds", 0), ("architectures", 6)):  # of digits
        assert reproduce.main([name, "--dry-run"]) == 0
        assert "no randman" in (said := capsys.readouterr().out)
        assert f"finished ones included: {count} cells" in said
    ran = []
    monkeypatch.setattr(reproduce, "_here", lambda name, root: True)
    monkeypatch.setattr(reproduce, "_run", lambda name, arguments: ran.append(name))
    assert reproduce.main(["bounds", "lazy", "--results", str(tmp_path)]) == 1
    assert ran == ["bounds", "lazy"]
    said = capsys.readouterr().out
    assert re.search(r"[Oo]ne hidden layer learn.* +not run +\w+ \(\d", said)
    assert "failed: the report" in said, "which has no runs to speak of"


@pytest.mark.slow
def test_growth_of_what_is_linear_and_what_is_quadratic(bench, monkeypatch, tmp_path):
    from benchmark import growth

    ticks = iter(range(1_000_000))

    def work(often):  # its time is how often it looked at the clock
        def function():
            for _ in range(often):
                next(ticks)

        return function

    monkeypatch.setattr(growth.time, "process_time", lambda: float(next(ticks)))
    made = {n: work(n * n) for n in (10, 20, 40, 80, 160)}
    rows = growth._grown("edge", "square", made, 2)
    assert [row["size"] for row in rows] == list(made)
    assert [row["fitted"] for row in rows] == [False, False, True, True, True]
    assert rows[0]["exponent"] == pytest.approx(2.0, abs=0.01)
    assert rows[-1]["cpu_ms"] == pytest.approx(1e3 * 160**2, rel=0.01)


@pytest.mark.slow
def test_sizes_that_grow_can_be_measured(bench, monkeypatch):
    from benchmark import growth

    small = {
        axis: (what, sizes[:3], lambda n, change=change: change(n) | {"steps": 10, "batch": 4})
        for axis, (what, sizes, change) in growth.AXES.items()
    }
    for name, value in {
        "AXES": small,
        "CELLS": (1, 2, 4),
        "RECORDINGS": (200, 300, 400),
        "SPIKES": 20,
        "LEAST": 0.0,
    }.items():
        monkeypatch.setattr(growth, name, value)
    rows = growth.measure(2)
    assert {row["axis"] for row in rows} == {*growth.AXES, "cells", "recordings"}
    assert all(row["cpu_ms"] > 0 for row in rows)


@pytest.mark.slow
def test_parts_of_a_command_add_up_to_it(bench, monkeypatch):
    from benchmark import parts

    monkeypatch.setattr(parts, "NETWORKS", {"small": "trainer.epochs=1 dataset.samples=50"})
    rows = parts.measure(None, 1)
    assert [row["part"] for row in rows] == list(parts.PARTS)
    seconds = {row["part"]: row["seconds"] for row in rows}
    assert all(seconds[part] > 0 for part in ("start", "data", "probe", "steps", "evaluation"))
    assert seconds["rest"] > 0


@pytest.mark.slow
def test_memory_of_workers(bench, monkeypatch):
    from benchmark import workers

    monkeypatch.setattr(workers, "TRAIN", 400)
    monkeypatch.setattr(workers, "TEST", 40)
    monkeypatch.setattr(workers, "SPIKES", 50)
    one, two = workers.measure((1, 2))
    assert 0 < one["peak_mib"] < two["peak_mib"]
    assert one["one_mib"] > 0


@pytest.mark.slow
def test_what_answers_the_question_is_recomputed_with_pandas_and_scipy_alone():
    """Each number of the tables of the README and the findings, by a script without fdi."""
    script = SCRIPTS / "study" / "recompute.py"
    assert not re.search(r"^(import|from) (fdi|pages)", script.read_text(), re.MULTILINE)
    found = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, ""), found.stdout
    assert found.stdout.count("recomputed") > 70
