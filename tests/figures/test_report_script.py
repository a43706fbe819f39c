"""The filter of the report, as a browser runs it; node stands in for the browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.resources import files

import pytest

BROWSER = """
globalThis.document = {querySelectorAll: () => []};
"""
ROW = """
const row = {
  text: () => "randman dense kaiming",
  values: key => ({"eps": ["1e-36"], "test": ["61.8"], "tags": ["draft, long"], "gain": [""],
    "note": ["Of May"]})[key] ?? [],
};
console.log(JSON.stringify(WORDS.map(word => holds(word, row))));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_words_of_the_filter():
    asked = {
        "randman": True,
        "fluct": False,
        "eps=1e-36": True,
        "eps=0.1e-35": True,
        "eps=1e-3": False,
        "test>60": True,
        "test<60": False,
        "tags=long": True,
        "tags=lon": False,
        "note=may": True,
        "gain=0": False,
        "gain<1": False,
        "nothing=1": False,
    }
    script = files("fdi.figures").joinpath("report.js").read_text()
    program = BROWSER + script + ROW.replace("WORDS", json.dumps(list(asked)))
    found = subprocess.run(["node", "-e", program], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert dict(zip(asked, json.loads(found.stdout))) == asked
