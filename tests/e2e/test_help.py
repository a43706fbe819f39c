"""What `fdi-run` says of itself."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from commands import process
from omegaconf import OmegaConf


def test_help_is_fast_and_names_the_groups(tmp_path):
    for _ in range(3):  # at least once
        before = os.times().children_user
        output = process("--help", cwd=tmp_path).communicate()[0]
        if (seconds := os.times().children_user - before) < 1:
            break
    assert seconds < 1
    assert all(
        word in output
        for word in (
            "fdi-run -m init=kaiming,fluct",
            "randman",
            "fluct_calibrated",
            "quickstart",
            "--config-dir",
        )
    )
    assert output.isascii()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_help_fits_the_terminal(fdi_run, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = fdi_run("--help").out.splitlines()
    assert max(map(len, lines)) <= width
    assert any(line.startswith("  fdi-run -m init=kaiming,fluct 'seed=range(5)'") for line in lines)
    assert "spytorch, xavier" in " ".join(line.strip() for line in lines)


def test_version_and_configuration(fdi_run):
    assert fdi_run("--version").out.startswith("fdi ")
    shown = fdi_run("--cfg", "job", "seed=4")
    assert shown.code == 0
    config = OmegaConf.create(shown.out)
    assert config.seed == 4
    assert config.name == {
        "dataset": "randman",
        "model": "dense",
        "init": "fluct",
        "experiment": None,
    }
    assert not os.listdir()


def test_the_settings_of_a_launcher_can_be_seen(fdi_run):
    shown = fdi_run("-m", "hydra/launcher=local", "init=kaiming,fluct", "--cfg", "hydra")
    assert shown.code == 0, shown.err
    assert OmegaConf.create(shown.out).launcher.n_jobs == -1


@pytest.mark.parametrize(
    "words",
    [
        "fdi.cli.run --help",
        "fdi.cli.run --cfg job",
        "fdi.cli.data show randman",
        "fdi.cli.figures --list",
    ],
)
def test_a_reader_that_has_seen_enough_ends_a_command_without_a_word(tmp_path, words):
    module, *arguments = words.split()
    code = f"import sys; from {module} import main; sys.argv[1:] = {arguments}; sys.exit(main())"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr == ""
