"""A package with a part of each kind, installed by pip, is seen and used as fdi's own parts are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fdi.config.parts import ROLES

EXAMPLE = Path(__file__).parents[2] / "examples" / "package"
SHORT = ["trainer.epochs=2", "trainer.batch_size=20", "threads=1", "seed=1"]
CHOSEN = [
    *("dataset=noise", "model=twins", "neuron=pulled", "init=even", "objective=hinge"),
    *("optimizer=signs", "scheduler=halving", "scheduler.every=1", "logger=[lines,csv]"),
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    pytest.importorskip("pip")
    folder = tmp_path_factory.mktemp("package")
    copy = shutil.copytree(EXAMPLE, folder / "source")  # setuptools writes beside it
    here = ["--no-deps", "--no-index", "--no-build-isolation", "--target", folder / "site"]
    words = [sys.executable, "-m", "pip", "install", "-q", *here, copy]
    subprocess.run(words, check=True, capture_output=True)
    return folder / "site"


def call(site: Path, cwd: Path, command: str, *words: str) -> subprocess.CompletedProcess:
    code = f"import sys; from fdi.cli.{command} import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(site)},
    )


def test_parts_of_an_installed_package_are_listed_and_work_together(installed, tmp_path):
    kinds = {folder.name: folder for folder in (EXAMPLE / "toy_parts" / "conf").iterdir()}
    assert kinds.keys() == ROLES.keys(), "a part of each kind"
    shown = " ".join(call(installed, tmp_path, "run", "--help").stdout.split())
    for kind, folder in kinds.items():
        (option,) = (file.stem for file in folder.glob("*.yaml"))
        listed = shown.partition(f" {kind} ")[2]
        assert option in listed.replace(",", "").split(), kind
    listed = call(installed, tmp_path, "data", "list").stdout
    assert "part of toy-parts 1.0" in " ".join(listed.split())

    done = call(installed, tmp_path, "run", *CHOSEN, *SHORT)
    assert done.returncode == 0, done.stderr
    (run,) = tmp_path.glob("results/runs/noise/twins/even/seed=1-*")
    told = (run / "lines.txt").read_text().splitlines()
    assert [line.split()[0] for line in told if "init/" not in line] == ["1", "2", "2"]
    done = call(installed, tmp_path, "run", "dataset=noise", "engine=slow", *SHORT)
    assert (done.returncode, "engine slow" in done.stdout) == (0, True), done.stderr


def test_a_dry_run_says_what_the_run_refuses(installed, tmp_path):
    site = shutil.copytree(installed, tmp_path / "site")
    words = ["dataset=noise", "model=twins", *SHORT]
    assert call(site, tmp_path, "run", *words).returncode == 0
    dry = call(site, tmp_path, "run", *words, "dry_run=true").stdout
    assert dry.splitlines()[-1] == "1 cell: 1 done"
    with (site / "toy_parts" / "parts.py").open("a") as file:
        file.write("# changed\n")
    refused = call(site, tmp_path, "run", *words)
    assert refused.returncode == 2
    dry = call(site, tmp_path, "run", *words, "dry_run=true").stdout
    assert "1 cell: 1 refused" in dry
    assert refused.stderr.removeprefix("fdi-run: ").split() == dry.splitlines()[-1].split()
