"""What belongs to the user's own code behind a `_target_`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fdi.config import own_code

FILES = {
    "net.py": "import math, far, numpy\nfrom parts import layer\nfrom fdi.snn import neuron\n"
    "def net():\n    import loose.piece, empty\n",
    "parts/__init__.py": "",
    "parts/layer.py": "from . import gain\nfrom ..unknown import x\nimport net, inner.nets\n",
    "parts/gain.py": "GAIN = 1\n",
    "inner/__init__.py": "FACTOR = 1\n",
    "inner/nets/__init__.py": "",
    "loose/piece.py": "x = 1\n",
    "path/far.py": "x = 1\n",
    "late.py": "x = 1\n",
    "tables/a.csv": "1\n",
}
LISTED = ("late.py", "tables")
NOT = {
    "other.py": "x = 1\n",
    "fdi/snn/neuron.py": "x = 1\n",
    "path/other.py": "x = 1\n",
    "parts/gain.npy": "1\n",
    "empty/table.csv": "1\n",
    "tables/.hidden": "1\n",
}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """With modules of one's own in it, and in a `path` on PYTHONPATH."""
    for name, text in {**FILES, **NOT}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    return tmp_path


def code(folder: Path) -> str | None:
    return own_code.code_hash("net.net", [folder], [folder / name for name in LISTED])


@pytest.mark.parametrize("changed", [*FILES, *NOT])
def test_code_is_what_is_imported_or_listed(folder, changed):
    before = code(folder)
    (folder / changed).write_text(f"{(folder / changed).read_text()}y = 2\n")
    assert (code(folder) != before) == (changed in FILES)
    (folder / changed).write_text({**FILES, **NOT}[changed])
    assert code(folder) == before


def test_the_folder_does_not_count(folder, tmp_path_factory, monkeypatch):
    before = code(folder)
    moved = tmp_path_factory.mktemp("moved") / "here"
    shutil.copytree(folder, moved)
    monkeypatch.setenv("PYTHONPATH", str(moved / "path"))
    assert code(moved) == before


def test_fdi_itself_is_not_ones_own(tmp_path):
    assert own_code.code_hash("fdi.snn.models.dense", [Path(own_code.__file__).parents[2]]) is None
    (tmp_path / "net.py").write_text("def net(")
    with pytest.raises(ValueError, match=r"cannot be read: .*net.py, line 1: "):
        own_code.code_hash("net.net", [tmp_path])
