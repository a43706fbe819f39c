"""The package without this study, and with a study of somebody else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

import fdi
from fdi.analysis import studies
from fdi.analysis.results import OWN, REFERENCE, own, reference
from fdi.study import claims

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
figures --own learning_curves
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
    assert studies.drawn(skip).index.tolist() == [0, 2]
    assert studies.drawn(skip, ["model.skip"]).index.tolist() == [0, 1, 2]
    unsaid = runs(**{"model.skip": [True, None, True]})
    assert studies.drawn(unsaid).index.tolist() == [0, 1]


class Entry:
    def __init__(self, module: str) -> None:
        self.name = self.module = module

    def load(self) -> ModuleType:
        return __import__(self.module)


@pytest.fixture
def installed(monkeypatch):
    """Packages with an entry point, in place of those that are."""

    def install(*names):
        monkeypatch.setattr(studies, "entry_points", lambda group: [*map(Entry, names)])
        studies.studies.cache_clear()
        studies.quotes.cache_clear()

    yield install
    monkeypatch.undo()
    studies.studies.cache_clear()
    studies.quotes.cache_clear()


def test_a_package_may_bring_what_it_quotes(tmp_path, monkeypatch, installed):
    folder = tmp_path / "their_study"
    folder.mkdir()
    (folder / "__init__.py").touch()
    entry = "{dataset: d, model: m, depth: 1, init: fluct, accuracy: 0.5, source: T, where: a lab}"
    (folder / "published.yaml").write_text(f"sources: {{T: theirs}}\nvalues: [{entry}]\n")
    monkeypatch.syspath_prepend(tmp_path)
    installed("their_study", "not_there_at_all")
    run = {"dataset": "d", "model": "m_deep", "init": "fluct", "rate/h1": 5.0}
    assert [str(entry) for entry in studies.published(run)] == ["50.0 [T] a lab"]
    assert studies.published(run | {"rate/h2": 5.0}) == []
    (folder / "published.yaml").write_text(f"sources: {{}}\nvalues: [{entry}]\n")
    installed("their_study")
    with pytest.raises(ValueError, match="no source T; add it to sources"):
        studies.published(run)
    (folder / "__init__.py").write_text("import not_there_at_all\n")
    sys.modules.pop("their_study")
    installed("their_study")
    with pytest.raises(ValueError, match="the study their_study cannot be imported: No module"):
        studies.studies()


@pytest.mark.slow  # it reads all measurements, as tests/scripts does
def test_the_report_has_claims_where_published_networks_were_trained(tmp_path):
    measured, nothing = reference(ROOT / "results" / "reference"), own(tmp_path)
    networks = studies.with_runs(measured.runs[measured.runs["state"] == "done"])
    shown = dict(claims.sections(nothing, measured))
    assert list(shown) == (["Reproduced or not"] if networks else [])
    assert networks
    assert "come with fdi" in shown["Reproduced or not"]
    assert "Own runs" not in shown["Reproduced or not"]
    assert list(claims.sections(nothing, nothing)) == []
