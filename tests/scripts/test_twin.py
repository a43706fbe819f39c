"""Whole trainings in fdi and in the authors' library, from silence, through a change of phase."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
RANDMAN = ("dataset=randman", "dataset.samples=10", "dataset.steps=40")
DIGITS = ("dataset=digits", "dataset.encoding=latency", "dataset.max_train=80")
PRIMED = (
    "trainer.batch_size=20",
    "trainer.epochs=2",
    "homeostasis=prime_joint",
    "homeostasis.prime_epochs=2",
    "optimizer.lr=0.05",
)
WORDS = {
    "silent": (*RANDMAN, "model=dense", "model.depth=2", "model.hidden=24", "init=kaiming"),
    "task alone after priming": (
        *RANDMAN,
        "model=dense",
        "model.hidden=24",
        "homeostasis.joint=false",
    ),
    "recurrent": (*RANDMAN, "model=recurrent", "model.hidden=24", "init=kaiming"),
    "dale": (
        *RANDMAN,
        "model=dale",
        "model.excitatory=16",
        "model.inhibitory=4",
        "init.sigma_u=0.2",
        "homeostasis.lower.strength=100",
    ),
    "conv": (
        *DIGITS,
        "model=conv",
        "model.filters=[4,6]",
        "model.pool=[2,1]",
        "init=kaiming",
        "trainer.batch_size=35",
        "homeostasis.lower.strength=100",
    ),
}
pytestmark = pytest.mark.slow
with_stork = pytest.mark.skipif(
    importlib.util.find_spec("stork") is None, reason="the authors' library is not importable"
)


@pytest.fixture
def twin(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("twin")


@with_stork
@pytest.mark.parametrize("name", WORDS)
def test_both_libraries_train_alike(twin, name, capsys):
    status = twin.main([*PRIMED, *WORDS[name]])
    out = capsys.readouterr().out
    assert status == 0, out
    assert "h1 0 Hz" not in out.splitlines()[-3], "a network that stays silent shows nothing"


@with_stork
def test_an_optimizer_that_forgets_priming_parts_them(twin):
    assert twin.main([*PRIMED, *WORDS["silent"], "homeostasis.fresh_optimizer=true"]) == 1


@pytest.mark.parametrize(("share", "parted"), [("0", 0), ("0.5", 1)])
def test_a_training_beside_itself(twin, share, parted):
    assert twin.main(["--perturbed", share, *PRIMED, *WORDS["silent"]]) == parted
