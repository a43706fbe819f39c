"""Golden runs: whose bits change only with `fdi.config.identity.NUMERICS`."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from llvmlite.binding import get_host_cpu_features
from making import numbers

import fdi
from fdi.config.identity import NUMERICS
from fdi.track.evidence import instructions, origin

GOLDEN = Path(__file__).with_name("golden.json")
HERE = {"numerics": NUMERICS, "torch": torch.__version__, "numba": version("numba")}
TINY = ("trainer.epochs=2", "trainer.batch_size=16", "seed=0", "threads=1")
RANDMAN = ("dataset=randman", "dataset.samples=20", "dataset.units=5", "model.hidden=8")
RUNS = {
    "dense": ("model=dense", *RANDMAN),
    "recurrent": ("model=recurrent", "init=fluct_calibrated", *RANDMAN),
    "dale": ("model=dale", *RANDMAN[:3], "model.excitatory=8", "model.inhibitory=4"),
    "conv": ("model=conv", "dataset=digits", "model.filters=[4,4]", "init=lsuv"),
    "reference": ("model=dense", "engine=reference", "neuron=alif", *RANDMAN),
}


def compiled_for() -> str:
    """The vector instructions that kernels are compiled for, in the words of `instructions`."""
    return "AVX512" if get_host_cpu_features().get("avx512f") else "AVX2"


def processor() -> str:
    """The maker of the processor, for which MKL has code of its own, and the instructions."""
    name = origin(torch.device("cpu"), 1)["processor"]
    maker = next((known for known in ("AMD", "Intel") if known in name), name)
    return f"{maker} {compiled_for()}"


def bits(directory: Path) -> str:
    """A hash of all numbers that a run wrote but for its times."""
    content = json.dumps(list(numbers(directory).values()), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in ("dale", "conv"))) for name in RUNS],
)  # what is compiled for it alone is slow
def test_a_golden_run_has_the_bits_of_its_numerics(name, tmp_path):
    golden = json.loads(GOLDEN.read_text())
    made = golden.pop("runs")
    same = golden | {"numerics": NUMERICS} == HERE and instructions() == compiled_for()
    if not same or processor() not in made:
        here = f"{HERE}, {instructions()} on {processor()}"
        pytest.skip(f"golden runs were made with {golden} and {', '.join(made)}; here is {here}")
    run = fdi.run(*TINY, *RUNS[name], results=tmp_path)
    assert (NUMERICS, bits(run.directory)) == (golden["numerics"], made[processor()][name]), (
        "the numbers of a run changed: raise NUMERICS, say why under Numbers in CHANGELOG.md, and "
        "write golden.json anew (python tests/test_golden.py), on a machine of each kind"
    )


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    golden = json.loads(GOLDEN.read_text())
    made = golden.pop("runs")
    with TemporaryDirectory() as folder:
        runs = {name: bits(fdi.run(*TINY, *RUNS[name], results=folder).directory) for name in RUNS}
    content = HERE | {"runs": (made if golden == HERE else {}) | {processor(): runs}}
    GOLDEN.write_text(json.dumps(content, indent=1) + "\n")
