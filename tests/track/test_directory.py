"""Which folder is that of a run: equal ids are no proof."""

from __future__ import annotations

from pathlib import Path

import pytest
from fdi.track.directory import refuse_other_config, run_directory
from omegaconf import OmegaConf

from fdi.config import identity
from fdi.track.record import write_config


@pytest.fixture
def config(tmp_path):
    def make(seed: int = 0, lr: float = 0.1):
        return OmegaConf.create(
            {
                "name": {"dataset": "randman", "model": "own/net", "init": "fluct"},
                "engine": {"name": "cpu"},
                "optimizer": {"lr": lr, "eps": 1e-16, "betas": [0.9, 1.0], "name": "1e-3"},
                "identity": {"exclude": ["identity", "name", "paths"]},
                "paths": {"results": str(tmp_path)},
                "seed": seed,
            }
        )

    return make


def store(config, directory: Path) -> Path:
    (directory / ".hydra").mkdir(parents=True)
    write_config(directory, config, ())
    return directory


def test_a_new_run_has_a_long_id(config, tmp_path):
    name = f"seed=0-{identity.run_id(config())}"
    assert run_directory(config()) == tmp_path / "runs/randman/own-net/fluct" / name
    assert len(identity.run_id(config())) == 16
    store(config(), run_directory(config()))
    assert run_directory(config()).name == name


def test_one_of_another_configuration_is_not(config):
    new = run_directory(config())
    short = store(config(lr=0.2), new.with_name(new.name[:-8]))
    assert run_directory(config()) == new
    with pytest.raises(ValueError, match="another configuration"):
        refuse_other_config(short, config())


def test_equal_ids_of_other_configurations_are_told_apart(config, monkeypatch):
    monkeypatch.setattr(identity, "DIGITS", 0)
    found = {lr: store(config(lr=lr), run_directory(config(lr=lr))) for lr in (0.1, 0.2, 0.3)}
    assert len(set(found.values())) == 3
    assert {lr: run_directory(config(lr=lr)) for lr in found} == found


@pytest.mark.parametrize("text", ["", "seed: 0\n", "a: [", "&a [*a]", "seed: !!set {}\n"])
def test_a_config_that_cannot_be_read_is_nobodys(config, text):
    path = store(config(), run_directory(config())) / ".hydra/config.yaml"
    path.write_text(text)
    assert len(run_directory(config()).name) > len("seed=0-") + 16


def test_an_empty_folder_is_free_and_one_with_measurements_is_not(config):
    first = run_directory(config())
    first.mkdir(parents=True)
    assert run_directory(config()) == first
    (first / "metrics.csv").touch()
    assert run_directory(config()) != first
