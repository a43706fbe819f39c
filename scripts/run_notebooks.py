"""Execute the notebooks of examples/ where they are and write them as pages of the documentation:
`python scripts/run_notebooks.py`. Needs fdi-snn[dev] and snntorch.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter
from traitlets.config import Config

NOTEBOOKS = Path("examples")
PAGES = Path("docs/notebooks")
TIMEOUT = 1200  # s a cell
SHOWN = ["text/markdown", "image/png", "text/plain"]  # of what a cell shows, best first


def main() -> int:
    for file in sorted(NOTEBOOKS.glob("*.ipynb")):
        print(write_page(file.stem, executed(file)))
    return 0


def executed(file: Path) -> nbformat.NotebookNode:
    """Run a notebook in a folder of its own, and keep what it shows."""
    notebook = nbformat.read(file, as_version=4)
    with TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=TIMEOUT, resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times
    notebook.metadata.pop("widgets", None)
    nbformat.write(notebook, file)
    return notebook


def write_page(name: str, notebook: nbformat.NotebookNode) -> Path:
    """The notebook as markdown, its pictures beside it."""
    exporter = MarkdownExporter(config=Config(NbConvertBase={"display_data_priority": SHOWN}))
    text, resources = exporter.from_notebook_node(
        notebook, {"unique_key": name, "output_files_dir": name}
    )
    page = PAGES / f"{name}.md"
    for picture, content in resources["outputs"].items():
        (PAGES / picture).parent.mkdir(parents=True, exist_ok=True)
        (PAGES / picture).write_bytes(content)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text.strip() + "\n", encoding="utf-8")
    return page


if __name__ == "__main__":
    sys.exit(main())
