"""What is promised under a name can be installed under it."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

import fdi

ROOT = Path(__file__).parents[1]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
OPTIONAL = PROJECT.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
EXTRAS = set(re.findall(r"^(\w+) = \[", OPTIONAL, re.MULTILINE))
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


ADDRESS = "https://forge.example/somebody/fdi"


@pytest.fixture
def checkout(tmp_path):
    """A copy of the last commit, with a changelog that has a date."""
    source = tmp_path / "source"
    try:
        subprocess.run(["git", "clone", "--quiet", ROOT, source], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a git checkout")
    changes = source / "CHANGELOG.md"
    changes.write_text(changes.read_text().replace("(not released)", "(2030-01-31)"))
    shutil.copy(ROOT / "scripts" / "release.py", source / "scripts")
    return source


@pytest.fixture
def release(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("release")


def test_a_release_fills_in_its_addresses(checkout, release):
    version, date = release.released(checkout)
    release.fill(checkout, ADDRESS, version, date, "10.1234/5")
    project = (checkout / "pyproject.toml").read_text()
    assert f'Repository = "{ADDRESS}"' in project
    cited = yaml.safe_load((checkout / "CITATION.cff").read_text())
    assert cited["repository-code"] == ADDRESS
    assert (cited["doi"], str(cited["date-released"])) == ("10.1234/5", "2030-01-31")
    links = re.findall(r"\]\(([^)]+)\)", (checkout / "README.md").read_text())
    assert links
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


def test_a_release_of_two_versions_or_without_a_date_is_refused(checkout, release):
    (checkout / "CITATION.cff").write_text("version: 0.0.1\n")
    with pytest.raises(SystemExit, match=r"CITATION\.cff has another version"):
        release.released(checkout)
    (checkout / "CHANGELOG.md").write_text("# Changelog\n\n## 0.3.0 (not released)\n")
    with pytest.raises(SystemExit, match="needs its date"):
        release.released(checkout)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_release_is_built_up_to_its_upload(checkout):
    pytest.importorskip("build")
    pytest.importorskip("twine")
    names = {"user.name": "a", "user.email": "a@b.c"}
    who = [word for key, value in names.items() for word in ("-c", f"{key}={value}")]
    subprocess.run(["git", *who, "commit", "--quiet", "-am", "a date"], cwd=checkout, check=True)
    command = [sys.executable, "scripts/release.py", ADDRESS]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2, "PyPI can show the README"
    with zipfile.ZipFile(next(checkout.glob("dist/*.whl"))) as wheel:
        installed = wheel.namelist()
    assert {
        "fdi/conf/config.yaml",
        "fdi/config/torch.yaml",
        "fdi/data/sources.yaml",
        "fdi/figures/names.yaml",
        "fdi/py.typed",
    } <= {*installed}
    tops = {name.partition("/")[0] for name in installed}
    assert tops == {"fdi", f"fdi_snn-{fdi.__version__}.dist-info"}
    with tarfile.open(next(checkout.glob("dist/*.tar.gz"))) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {"fdi/conf/config.yaml", "CITATION.cff", "CHANGELOG.md"} <= held
    assert not [name for name in held if name.startswith(("tests", "results", "docs"))]
