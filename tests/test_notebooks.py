"""The notebooks of examples/ run, and their pages in docs/ hold what they hold."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
SMALL = {
    "trainer.epochs=15": "trainer.epochs=8",
    "range(3)": "range(2)",
    "2e-3}": '2e-3, "threads": 1}',
}


@pytest.fixture
def nbformat():
    for name in ("nbclient", "ipykernel"):
        pytest.importorskip(name)
    return pytest.importorskip("nbformat")


@pytest.mark.slow
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own event loop and kernels
def test_a_notebook_runs(file, nbformat, tmp_path):
    pytest.importorskip("matplotlib")
    nbclient = importlib.import_module("nbclient")
    notebook = nbformat.read(file, as_version=4)
    for cell in notebook.cells:
        for word, smaller in SMALL.items():
            cell.source = cell.source.replace(word, smaller)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
    if file.stem == "tutorial":
        assert len(list(tmp_path.rglob("metrics.csv"))) == 4
        shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        said = "".join(output.get("text", "") for output in shown)
        (right,) = re.findall(r"(\d+)% of 200 new samples are right", said)
        assert int(right) > 40, "guessing gives 20"
        data = [output["data"] for output in shown if "data" in output]
        assert sum("image/png" in each for each in data) == 2
        assert not re.search(r"\x1b\[", str(shown))


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_page_is_its_notebook_as_it_was_run(file, nbformat):
    page = (ROOT / "docs" / "notebooks" / f"{file.stem}.md").read_text()
    for cell in nbformat.read(file, as_version=4).cells:
        assert cell.source.strip() in page
        if cell.cell_type == "code":
            assert cell.execution_count, f"{cell.source}: run scripts/run_notebooks.py"
            assert all(output.output_type != "error" for output in cell.outputs)
