"""What is promised under a name can be installed under it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import fdi

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


PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base"}  # what others are called there


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


def test_the_recipe_for_conda_asks_for_what_the_package_does():
    recipe = yaml.safe_load((ROOT / "packaging" / "conda" / "recipe.yaml").read_text())
    found = re.search(r"^dependencies = \[\n(.*?)^\]", PROJECT, re.MULTILINE | re.DOTALL)
    assert found is not None
    listed = found[1]
    asked = re.findall(r'^    "([\w-]+)(?:\[\w+\])?([^"]*)"', listed, re.MULTILINE)
    python = re.search(r'^requires-python = ">=([\d.]+),(.*?)"', PROJECT, re.MULTILINE)
    assert python is not None
    assert recipe["requirements"]["run"] == [
        f"python >=${{{{ python_min }}}},{python[2]}",
        *(f"{CONDA.get(name, name)} {bounds}" for name, bounds in asked),
        "tqdm",  # pooch[progress]
    ]
    commands = re.findall(r'^(fdi-\w+) = "(.*)"$', PROJECT, re.MULTILINE)
    assert recipe["build"]["python"]["entry_points"] == [" = ".join(one) for one in commands]
    assert recipe["context"]["version"] == fdi.__version__


def test_the_changelog_is_ready_for_a_tag():
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == fdi.__version__
    assert len(versions) == len(set(versions)) > 1


def test_workflows_call_what_the_makefile_has_on_pythons_that_may_install_it():
    (file,) = (ROOT / ".github" / "workflows").glob("*.yml")
    jobs = yaml.safe_load(file.read_text())["jobs"]
    called = {
        target
        for job in jobs.values()
        for step in job["steps"]
        for target in re.findall(r"make ([\w-]+)", step.get("run", ""))
    }
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"lint", "test", "test-lowest", "docs"} == called <= targets
    newest = [one["python"] for one in jobs["newest"]["strategy"]["matrix"]["include"]]
    tested = [
        one["python"] for one in jobs["newest"]["strategy"]["matrix"]["include"] if one["tested"]
    ]
    assert newest == ["3.13", "3.14"]
    assert f"Python :: {tested[-1]}" in PROJECT
    assert f"Python :: {newest[-1]}" not in PROJECT  # says "not tested" until it is


@pytest.mark.slow
def test_distributions_hold_configurations_and_the_source_its_tests(tmp_path):
    import tarfile
    import zipfile

    pytest.importorskip("build")
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "--quiet", ROOT, source], check=True)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path, source]
    subprocess.run(command, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        installed = wheel.namelist()
    assert "fdi/conf/config.yaml" in installed
    assert "fdi/py.typed" in installed
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        held = [name.partition("/")[2] for name in archive.getnames()]
    assert {"fdi/conf/config.yaml", "tests/test_docs.py", "docs/index.md", "Makefile"} <= set(held)
    assert {name.partition("/")[0] for name in installed} == {"fdi", "fdi_snn-0.2.0.dist-info"}
