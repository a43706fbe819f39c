"""What is promised under a name can be installed under it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXTRAS = set(
    re.findall(
        r"^(\w+) = \[",
        (ROOT / "pyproject.toml")
        .read_text()
        .partition("[project.optional-dependencies]")[2]
        .partition("\n[")[0],
        re.MULTILINE,
    )
)


def texts() -> list[tuple[str, str]]:
    """Name and content of each text file that git knows."""
    try:
        listed = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a git checkout")
    suffixes = (".py", ".md", ".yaml", ".toml", ".cff", "Makefile")
    return [
        (name, (ROOT / name).read_text(encoding="utf-8"))
        for name in listed.splitlines()
        if name.endswith(suffixes) and (ROOT / name).exists() and name != "tests/test_packaging.py"
    ]


def test_no_hint_installs_the_stranger_that_is_called_fdi_on_pypi():
    stranger = re.compile(r"\bfdi\[[a-z{]|pip install (?:-\S+ )*'?fdi(?![-\w])")
    assert [name for name, text in texts() if stranger.search(text)] == []
    assert stranger.search("pip install 'fdi[data]'")
    assert stranger.search("pip install fdi snntorch")


def test_every_extra_that_a_text_names_exists():
    named = {
        extra
        for _, text in texts()
        for extras in re.findall(r"fdi-snn\[([a-z,]+)\]", text)
        for extra in extras.split(",")
    }
    assert {"data", "parallel", "slurm", "ray", "wandb", "tensorboard"} <= named <= EXTRAS
