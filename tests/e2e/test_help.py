"""What `fdi-run` says of itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import process
from omegaconf import OmegaConf

from fdi.config.parts import ROLES

CONF = Path(__file__).parents[2] / "conf"


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
    assert ", ".join(sorted(path.stem for path in (CONF / "init").glob("*.yaml"))) in " ".join(
        line.strip() for line in lines
    )


def test_a_page_that_is_named_can_be_opened(fdi_run):
    folder = Path(fdi_run("--help").out.splitlines()[-1].removeprefix("docs/: "))
    named = re.findall(r"docs/([\w/-]+\.md)", fdi_run("--help").out)
    assert named
    assert all((folder / name).is_file() for name in named)


@pytest.mark.parametrize("group", ["dataset", "experiment", "hydra/launcher", *sorted(ROLES)])
def test_each_option_of_a_group_has_a_line(fdi_run, monkeypatch, group):
    monkeypatch.setenv("COLUMNS", "1000")
    title, *lines = fdi_run("--help", group).out.splitlines()
    assert title == f"{group}=NAME:"
    said = dict(line.split(None, 1) for line in lines)
    assert [*said] == sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("init.sigma_u", "init.sigma_u, a number above 0:"),
        ("init.sigma_u", "1.0 (init=lsuv) spread of the membrane potential to which each layer is"),
        (
            "neuron.tau_mem",
            "20.0e-3 (neuron=lif) membrane time constant, s [Rossbroich et al. 2022",
        ),
        ("seed", "seed, an integer at least 0: 0 (conf/config) determines the split"),
        ("probe", "probe, before or only or none:"),
        ("trainer.epochs", "200 (tuned for randman, shd)"),
        ("homeostasis.lower.strength", "0.0 (tuned for model=conv,"),
        ("logger.wandb.mode", "logger.wandb.mode, offline or online"),
        ("hydra.launcher.n_jobs", "-1 (hydra/launcher=local) number of cells at once"),
    ],
)
def test_a_key_has_its_range_its_defaults_unit_and_source(fdi_run, key, words):
    assert words in " ".join(fdi_run("--help", key).out.split())


@pytest.mark.parametrize(("word", "meant"), [("init.sgima_u", "init.sigma_u"), ("ini", "init")])
def test_what_no_file_says_is_refused(fdi_run, word, meant):
    done = fdi_run("--help", word)
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"fdi-run: {word}: no group and no key is called so; did you mean {meant}?\n"
    )


def test_options_of_ones_own_are_looked_up_too(fdi_run):
    own = Path(__file__).parents[2] / "examples" / "own" / "conf"
    said = " ".join(fdi_run("--config-dir", str(own), "--help", "init").out.split())
    assert all(f" {path.stem} " in said for path in (own / "init").glob("*.yaml"))


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
