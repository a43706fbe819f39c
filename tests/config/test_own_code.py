"""What belongs to the user's own code behind a `_target_`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from fdi.config import own_code

FILES = {
    "net.py": "import math, far\nfrom parts import layer\nfrom fdi.snn import neuron\n"
    "from importlib import import_module as get\nlate = get('late')\n"
    "W = 'weights.npy', 'deep', 'w.csv'\n",
    "parts/__init__.py": "",
    "parts/layer.py": "from . import gain\nfrom ..unknown import x\nimport net, inner.nets\n",
    "parts/gain.py": "GAIN = 1\n",
    "parts/never_imported.py": "x = 1\n",
    "inner/__init__.py": "FACTOR = 1\n",
    "inner/nets/__init__.py": "",
    "late.py": "x = 1\n",
    "other.py": "x = 1\n",
    "fdi/snn/neuron.py": "x = 1\n",
    "path/far.py": "x = 1\n",
    "path/other.py": "x = 1\n",
}
DATA = ("parts/gain.npy", "inner/nets/table.csv", "weights.npy", "deep/w.csv", "other.npy")
NOT = ("other.py", "fdi/snn/neuron.py", "path/other.py", "other.npy", "parts/__pycache__/x.pyc")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """With modules of one's own in it, and in a `path` on PYTHONPATH."""
    for name, text in {**FILES, **dict.fromkeys((*DATA, *NOT[-1:]), "1")}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "path")])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    own_code._elsewhere.cache_clear()
    return tmp_path


@pytest.mark.parametrize("changed", [*FILES, *DATA, *NOT[-1:]])
def test_code_is_that_of_own_packages_with_all_that_is_in_them(folder, changed):
    before = own_code.code("net.Net", [folder])
    text = (folder / changed).read_text()
    if changed.endswith(".py"):
        (folder / changed).write_text(f"{text}\n# a comment\n")
        assert own_code.code("net.Net", [folder]) == before
    (folder / changed).write_text(f"{text}y = 2\n")
    assert (own_code.code("net.Net", [folder]) != before) == (changed not in NOT)
    (folder / changed).write_text(text)
    assert own_code.code("net.Net", [folder]) == before


def test_the_folder_does_not_count_and_configurations_do_not(folder, tmp_path_factory):
    before = own_code.code("net.Net", [folder])
    moved = tmp_path_factory.mktemp("moved") / "here"
    shutil.copytree(folder, moved)
    (moved / "parts" / "conf" / "model").mkdir(parents=True)
    (moved / "parts" / "conf" / "model" / "mine.yaml").write_text("_target_: net.Net\n")
    assert own_code.code("net.Net", [moved / "parts" / "conf", moved]) == before


def test_a_new_file_of_a_package_counts(folder):
    before = own_code.code("net.Net", [folder])
    (folder / "parts" / "new.py").write_text("x = 1\n")
    assert own_code.code("net.Net", [folder]) != before


def test_runs_hashed_in_the_first_way_are_known_again(folder):
    """The hash was made by an fdi that knew no other way."""
    known = "19202be54cd38347"
    assert own_code.same(known, "net.Net", [folder])
    whole = own_code.code("net.Net", [folder])
    assert whole is not None
    assert own_code.same(whole, "net.Net", [folder])
    (folder / "parts" / "gain.py").write_text("GAIN = 2\n")
    assert not own_code.same(known, "net.Net", [folder])


def test_fdi_itself_is_not_ones_own(tmp_path):
    assert own_code.code("fdi.snn.models.dense", [Path(own_code.__file__).parents[2]]) is None
    (tmp_path / "net.py").write_text("def net(")
    with pytest.raises(ValueError, match=r"cannot be read: .*net.py, line 1: "):
        own_code.code("net.net", [tmp_path])
