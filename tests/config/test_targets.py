"""What belongs to the code behind a `_target_`."""

from __future__ import annotations

import pytest

from fdi.config import targets

FILES = {
    "net.py": "import math\nfrom parts import layer\nfrom fdi.snn import neuron\n",
    "parts/__init__.py": "",
    "parts/layer.py": "from . import gain\nfrom ..unknown import x\nimport net\n",
    "parts/gain.py": "GAIN = 1\n",
    "other.py": "x = 1\n",
    "fdi/snn/neuron.py": "x = 1\n",
}


@pytest.mark.parametrize("changed", FILES)
def test_code_is_that_of_own_modules_and_of_those_they_import(tmp_path, changed):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    before = targets.code("net.Net", [tmp_path])
    (tmp_path / changed).write_text(f"{FILES[changed]}\n# a comment\n")
    assert targets.code("net.Net", [tmp_path]) == before
    (tmp_path / changed).write_text(f"{FILES[changed]}y = 2\n")
    belongs = changed not in ("other.py", "fdi/snn/neuron.py")
    assert (targets.code("net.Net", [tmp_path]) != before) == belongs


def test_fdi_itself_is_not_ones_own(tmp_path):
    assert targets.code("fdi.snn.models.dense", [targets.PACKAGE.parent]) is None
    (tmp_path / "net.py").write_text("def net(")
    with pytest.raises(ValueError, match=r"cannot be read: .*net.py, line 1: "):
        targets.code("net.net", [tmp_path])
