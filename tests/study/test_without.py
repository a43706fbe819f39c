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

import fdi
from fdi.analysis import studies
from fdi.analysis.results import OWN, own
from fdi.study import claims
from fdi.study.measured import REFERENCE, reference

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
    assert studies.drawn(skip).index.tolist() == [0, 2]
    assert studies.drawn(skip, ["model.skip"]).index.tolist() == [0, 1, 2]
    unsaid = runs(**{"model.skip": [True, None, True]})
    assert studies.drawn(unsaid).index.tolist() == [0, 1]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Writes a package with an entry point, which is installed beside those that are."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(code="", published=""):
        package, about = tmp_path / "their_study", tmp_path / "their_study-1.dist-info"
        for folder in (package, about):
            folder.mkdir(exist_ok=True)
        (package / "__init__.py").write_text(code)
        (package / "published.yaml").write_text(published)
        (about / "METADATA").write_text("Name: their_study\nVersion: 1\n")
        lines = ["[fdi.studies]", "theirs = their_study", "gone = not_there_at_all"]
        (about / "entry_points.txt").write_text("\n".join(lines))
        sys.modules.pop("their_study", None)
        importlib.invalidate_caches()
        studies.studies.cache_clear()
        studies.quotes.cache_clear()

    yield install
    monkeypatch.undo()
    sys.modules.pop("their_study", None)
    studies.studies.cache_clear()
    studies.quotes.cache_clear()


ENTRY = "{dataset: d, model: m, depth: 1, init: fluct, accuracy: 0.5, source: T, where: a lab}"
RUN = {"dataset": "d", "model": "m_deep", "init": "fluct", "rate/h1": 5.0}


def test_a_package_may_bring_what_it_quotes(installed):
    installed(published=f"sources: {{T: theirs}}\nvalues: [{ENTRY}]\n")
    assert [str(entry) for entry in studies.published(RUN)] == ["50.0 [T] a lab"]
    assert studies.published(RUN | {"rate/h2": 5.0}) == []


@pytest.mark.parametrize(
    ("code", "sources", "line"),
    [
        ("", "{}", "no source T; add it to sources"),
        ("", "{T: theirs, K: theirs}", "another study calls its source K, too; rename it"),
        ("import not_there", "{T: a}", "the study their_study cannot be imported: No module"),
    ],
)
def test_a_package_that_says_it_wrong_is_one_line(installed, code, sources, line):
    installed(code, f"sources: {sources}\nvalues: [{ENTRY}]\n")
    with pytest.raises(ValueError, match=line):
        studies.published(RUN)


@pytest.mark.slow  # it reads all measurements, as tests/scripts does
def test_the_report_has_claims_where_published_networks_were_trained(tmp_path):
    measured, nothing = reference(ROOT / "results" / "reference"), own(tmp_path)
    networks = claims.with_runs(measured.runs[measured.runs["state"] == "done"])
    shown = dict(claims.sections(nothing, measured))
    assert list(shown)[1:] == (["Reproduced or not"] if networks else [])
    assert networks
    assert "come with fdi" in shown["Reproduced or not"]
    assert "Own runs" not in shown["Reproduced or not"]
    assert len(list(claims.sections(nothing, nothing))) == 1, "what was published"
