"""The workloads in fdi and in other libraries: a module each, with a function that builds a
learner of a workload.

All compute layers of leaky integrate-and-fire neurons with an exponential synapse (tau_mem 20 ms,
tau_syn 10 ms, reset to zero, fast-sigmoid surrogate of slope 20), a leaky integrator as readout,
cross-entropy on its maximum over time, and Adam; libraries differ in the order of updates within a
step. Where a library has a multi-step mode, it is used.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial

from benchmark.libraries import jax, norse, ours, sinabs, snntorch, spikingjelly, stork, torch
from benchmark.libraries.tools import Learner
from benchmark.workloads import batch

LIBRARIES: dict[str, Callable[[dict], Learner]] = {
    "fdi": ours.fdi,
    "stork": stork.build,
    "stork (torch.compile)": stork.compiled,
    "snntorch": snntorch.build,
    "norse": norse.build,
    "spikingjelly": spikingjelly.build,
    "sinabs": sinabs.build,
    "jax": jax.build,
    "spyx": jax.spyx,
}
"""Name, beginning with that of the module that must be importable -> builder of a learner."""
BEST = {
    **{name: LIBRARIES[name] for name in ("fdi", "stork", "snntorch", "spikingjelly")},
    "jax (input first)": jax.hoisted,
    "torch (sparse input)": torch.build,
}
"""The same of those that may be the fastest at some size of a fully connected network."""


def importable(builders: dict[str, Callable[[dict], Learner]]) -> dict[str, Callable]:
    """Those of these libraries that are there."""
    return {n: build for n, build in builders.items() if importlib.util.find_spec(n.split()[0])}


def available() -> dict[str, Callable[[dict], Learner]]:
    """The libraries that can be imported; without stork, fdi's reference engine stands in for it
    under the name "reference".
    """
    there = importable(LIBRARIES)
    return there if "stork" in there else {**there, "reference": ours.reference}


def on_one_batch(build: Callable[[dict], Learner], work: dict) -> Callable[[], float]:
    """A training step of the workload, on the same batch each time; it returns the loss."""
    learner = build(work)
    return partial(learner.step, learner.put(*batch(work)))
