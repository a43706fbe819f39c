"""fdi.testing over all that fdi has registered, and what it says of parts that break a promise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from deletions import deletions

import fdi.conf
from fdi.config.parts import resolve
from fdi.data.dataset import Dataset, thin
from fdi.engine.cpu import CpuEngine
from fdi.engine.derived import derived
from fdi.init.named import NAMES
from fdi.init.strategy import Strategy
from fdi.snn.neuron import KINDS, Neuron
from fdi.testing import check, neurons


@pytest.mark.parametrize("name", KINDS)
def test_a_neuron_keeps_the_contract(name):
    check(KINDS[name])


@pytest.mark.slow  # each is compiled
@pytest.mark.parametrize("name", KINDS)
def test_a_neuron_keeps_it_in_networks_of_the_compiled_engine(name):
    check(KINDS[name], engine=CpuEngine(threads=1))


@pytest.mark.parametrize("name", NAMES)
def test_an_initialization_keeps_the_contract(name):
    check(NAMES[name])


DATASETS = {
    path.stem: options
    for path in sorted(Path(fdi.conf.__path__[0], "dataset").glob("*.yaml"))
    if not {"root", "file"} & (options := yaml.safe_load(path.read_text())).keys()  # needs files
}


def small(name: str) -> Any:
    options = DATASETS[name] | {"samples": 20} if "samples" in DATASETS[name] else DATASETS[name]
    words = {key: value for key, value in options.items() if key != "_target_"}
    return partial(resolve("dataset", options["_target_"]), **words)


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_keeps_the_contract(name):
    check(small(name))


def test_what_is_no_part_is_refused():
    with pytest.raises(
        TypeError, match=r"takes a neuron, an initialization, an engine or .*, not 3"
    ):
        check(lambda: 3)


@dataclass(frozen=True)
class Deaf(Neuron):
    """Its field does nothing."""

    pull: float = 0.5


@dataclass(frozen=True)
class Torn(Neuron):
    """Its gradient is not that of what it computes."""

    pull: float = 0.5

    def step(self, u, s, current, state, c):
        return self.after(u, s, c.gain * (current + self.pull * u.detach() ** 2), c), state


@pytest.mark.parametrize(
    ("part", "problem"),
    [(Deaf, "pull = 1.0 does not change the numbers"), (Torn, "off that of finite differences")],
)
def test_a_neuron_that_breaks_it_is_told_so(part, problem):
    with pytest.raises(AssertionError, match=problem):
        check(part)


class Stuck(Strategy):
    """All weights are 1."""

    def draw(self, drawing) -> None:
        for projection in drawing.afferents:
            projection.weight.data.fill_(1.0)


def test_an_initialization_that_hears_no_seed_is_told_so():
    with pytest.raises(AssertionError, match="are the same with another seed"):
        check(Stuck)


def shuffled(*, seed: int) -> Dataset:
    """Its test set is drawn by the seed of the run."""
    return small("poisson")(seed=0, data_seed=seed)


def halved(*, seed: int) -> Dataset:
    """Its batches have more labels than samples."""
    data = small("poisson")(seed=seed)
    return replace(data, train=replace(data.train, transform=lambda x, rng: x[: len(x) // 2]))


def noisy(*, seed: int) -> Dataset:
    """Its batches hear no generator."""
    data, own = small("poisson")(seed=seed), np.random.default_rng(0)
    return replace(data, train=replace(data.train, transform=lambda x, rng: thin(x, own, drop=0.5)))


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (shuffled, "poisson: other data for the test with another seed of the run"),
        (halved, r"a batch of the train split is \(4, 100, 100\), not \(8, 100, 100\)"),
        (noisy, "a batch of the train split is another one with equal random numbers"),
    ],
)
def test_a_data_set_that_breaks_it_is_told_so(make, problem):
    with pytest.raises(AssertionError, match=problem):
        check(make)


@pytest.mark.parametrize("name", KINDS)
def test_a_derived_step_or_adjoint_without_any_term_is_found(name):
    n = KINDS[name]()
    kind: Any = type(n)
    m = neurons.moment(n)
    higher: Any = type("Higher", (kind,), {"THRESHOLD": f"{kind.THRESHOLD} + 10000"})
    silent = object.__new__(higher)
    silent.__dict__.update(vars(n))
    flat = replace(n, surrogate="superspike", beta=1e-6)  # with a slope where neurons rest
    cases = [
        (
            (m, raised),
            of,
            [x.numpy() for x in neurons.results_of_step(seen, m)]
            + neurons.gradients_of_step(seen, m),
        )
        for of, seen, raised in ((n, n, 0.0), (flat, flat, 0.0), (n, silent, 10000.0))
    ]

    def right(code: str | None) -> bool:
        for (m, raised), of, wanted in cases:
            ahead, back = neurons.by_code(of, m, code, raised)
            for x, y in zip([*ahead, *back], wanted, strict=True):
                if not np.allclose(x, y, rtol=1e-9, atol=1e-12):
                    return False
        return True

    assert right(None)
    functions = ("advance", "retreat", "threshold")
    mutants = list(deletions(derived(kind).code, functions))
    assert len(mutants) > 3
    assert [code for code in mutants if right(code)] == []
