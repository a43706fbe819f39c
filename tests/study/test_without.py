"""The package without this study, and with a study of somebody else."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from making import write_run

import fdi
from fdi.analysis.results import OWN, comparable, own, studies
from fdi.cli import report
from fdi.figures import catalogue
from fdi.study import claims
from fdi.study.measured import REFERENCE, read_export
from fdi.track.files import tell

PACKAGE = Path(fdi.__file__).parent
ROOT = PACKAGE.parent
COMMANDS = """
import importlib, sys

sys.meta_path[:] = [
    finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")
]
for line in sys.stdin:
    command, *words = line.split()
    sys.argv = [f"fdi-{command}", *words]
    print("$", *sys.argv)
    try:
        code = importlib.import_module(f"fdi.cli.{command}").main()
    except SystemExit as end:
        code = end.code
    assert not code, (line, code)
import fdi
print(fdi.__file__, sorted(name for name in sys.modules if name.startswith("fdi.study")))
"""
LEARNS = "dataset.classes=2 dataset.samples=200 model.hidden=32 optimizer.lr=0.02 trainer.epochs=5"
LINES = f"""
run -m init=kaiming,fluct seed=0,1 {LEARNS}
run -m probe=only init=kaiming,fluct,lsuv model.skip=true model.hidden=[32,32]
status
table
figures --own states
report
"""


def test_a_package_without_the_study_does_all_for_ones_own_runs(tmp_path):
    without = shutil.ignore_patterns("study", "__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "fdi", ignore=without)
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS],
        input=LINES.strip(),
        capture_output=True,
        text=True,
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith(f"{tmp_path / 'fdi' / '__init__.py'} []")
    page = (home / "results" / "report.html").read_text()
    assert "eproduced" not in page
    assert "without a run of ours" not in page, "nothing is quoted"
    assert list((home / "results" / "figures").glob("states_*.png"))


def runs(**columns):
    table = pd.DataFrame({"source": [OWN, f"{REFERENCE}abc", f"{REFERENCE}abc"]})
    return table.assign(**columns)


def test_a_study_chooses_among_the_measurements_that_come_with_fdi_only():
    skip = runs(**{"model.skip": [True, True, False]})
    assert comparable(skip).index.tolist() == [0, 2]
    assert comparable(skip, ["model.skip"]).index.tolist() == [0, 1, 2]
    unsaid = runs(**{"model.skip": [True, None, True]})
    assert comparable(unsaid).index.tolist() == [0, 1]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Writes a package with an entry point, which is installed beside those that are."""
    monkeypatch.syspath_prepend(tmp_path)
    names = set()

    def install(code, name):
        package, about = tmp_path / name, tmp_path / f"{name}-1.dist-info"
        for folder in (package, about):
            folder.mkdir(exist_ok=True)
        (package / "__init__.py").write_text(code)
        (about / "METADATA").write_text(f"Name: {name}\nVersion: 1\n")
        lines = ["[fdi.studies]", f"{name} = {name}", "gone = not_there_at_all"]
        (about / "entry_points.txt").write_text("\n".join(lines))
        names.add(name)
        forget()
        return package

    def forget():
        for name in [module for module in sys.modules if module.partition(".")[0] in names]:
            del sys.modules[name]
        importlib.invalidate_caches()
        for known in (tell, studies):
            known.cache_clear()

    yield install
    monkeypatch.undo()
    forget()


FIGURE = """
import pandas as pd

ABOUT, NEEDS, COMMAND, SIZE, TITLE, PLACE = "a", "n", "c", (3, 2), "T", 1


def data(results):
    return {page: (pd.DataFrame({"source": ["own runs"], "page": page}), None) for page in "pq"}


def panels(page):
    return [["a"]]


def draw(page, axes):
    if page["page"].iloc[0] == "p":
        raise KeyError("p")
"""
BROKEN = [  # what a study says, its module NAME_figure, what is told of it
    ("import not_there", "", "the study NAME is left out: ModuleNotFoundError: No module"),
    ("def (", "", "the study NAME is left out: SyntaxError"),
    ("raise SystemExit", "", "the study NAME is left out: SystemExit"),
    ("def reference(folder): raise KeyError", "", "the reference of NAME is left out"),
    ("PLAIN = 3", "", "PLAIN of NAME is left out"),
    ("FIGURES = 3", "", "FIGURES of NAME is left out"),
    ("FIGURES = ('nope',)", "", "the figure NAME.nope is left out"),
    ("FIGURES = ('depth',)", "", "the figure NAME.depth is left out: there is a figure depth alr"),
    ("def sections(mine, measured): 1 / 0", "", "a section of NAME is left out: ZeroDivision"),
    ("def sections(mine, measured):\n yield 'T', ''\n 1 / 0", "", "a section of NAME is left out"),
    ("FIGURES = ('NAME_figure',)", "1 / 0", "the figure NAME.NAME_figure is left out: ZeroDiv"),
    ("FIGURES = ('NAME_figure',)", "ABOUT = 1", "lacks NEEDS"),
    ("FIGURES = ('NAME_figure',)", FIGURE + "PLACE = 'z'", "PLACE = z must be a number"),
    (
        "FIGURES = ('NAME_figure',)",
        FIGURE + "def data(results):\n    return 3",
        "the figure NAME_figure is left out: AttributeError: 'int' object has no attribute 'items'",
    ),
    ("FIGURES = ('NAME_figure',)", FIGURE, "the figure NAME_figure_p is left out: KeyError: 'p' ("),
]


def test_each_study_that_fails_is_one_line_and_the_report_has_the_rest(
    installed, monkeypatch, tmp_path, caplog
):
    write_run(tmp_path, "fluct", 0, curve=[0.1, 0.3])
    lines = []
    for i, (code, figure, line) in enumerate(BROKEN):
        name = f"broken{i:02}"
        package = installed(code.replace("NAME", name), name)
        (package / "depth.py").write_text(FIGURE)
        (package / f"{name}_figure.py").write_text(figure)
        lines.append(line.replace("NAME", name))
    monkeypatch.setattr(catalogue, "FIGURES", catalogue._figures())
    assert report.main(["--results", str(tmp_path), "--claims"]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "Learning curves" in page
    assert '<h3 id="t">T' in page, "the other page of broken14"
    assert [sum(line in said for said in caplog.messages) for line in lines] == [1] * len(lines)
    assert len(caplog.messages) == len(lines)


@pytest.mark.slow  # it reads all measurements, as tests/scripts does
def test_the_report_has_claims_where_published_networks_were_trained(tmp_path):
    measured, nothing = read_export(ROOT / "results" / "reference"), own(tmp_path)
    networks = claims.with_runs(measured.runs[measured.runs["state"] == "done"])
    shown = dict(claims.claim_sections(nothing, measured))
    assert list(shown)[1:] == (["Reproduced or not"] if networks else [])
    assert networks
    assert "come with fdi" in shown["Reproduced or not"]
    assert "Own runs" not in shown["Reproduced or not"]
    assert len(list(claims.claim_sections(nothing, nothing))) == 1, "what was published"
