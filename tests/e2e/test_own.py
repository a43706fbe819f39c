"""Parts of one's own, from outside the package."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import commands
import pytest

import fdi.cli.data
from fdi.engine.cpu import CpuEngine
from fdi.track.record import look

OWN = Path(__file__).parents[2] / "examples" / "own"


def call(module: str, *words: str, cwd: Path) -> subprocess.CompletedProcess:
    code = f"import sys; from fdi.cli.{module} import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *words], cwd=cwd, capture_output=True, text=True
    )


@pytest.mark.parametrize("launcher", ["basic", pytest.param("local", marks=pytest.mark.slow)])
def test_the_example_runs_from_another_folder(tmp_path: Path, launcher: str):
    shutil.copytree(OWN, tmp_path / "a, b" / "own")
    (tmp_path / "else").mkdir()
    chosen = ["dataset=stripes", "model=hourglass", "init=sparse", "seed=1", "engine=reference"]
    small = ["dataset.samples=40", "dataset.steps=10", "trainer.epochs=1", "trainer.batch_size=40"]
    folder = ["-m", "--config-dir", "../a, b/own/conf", f"hydra/launcher={launcher}"]
    found = call("run", *folder, *chosen, *small, cwd=tmp_path / "else")
    assert found.returncode == 0, found.stderr
    (run,) = tmp_path.glob("else/results/runs/stripes/hourglass/sparse/seed=1-*")
    assert look(run).state == "done"


SMALL = ["dataset=stripes", "dataset.samples=40", "dataset.steps=30", "trainer.epochs=1",
         "trainer.batch_size=40", "model.hidden=8", "seed=1"]  # fmt: skip


@pytest.mark.parametrize(
    ("chosen", "name"),
    [
        (["neuron=quadratic"], "own_parts.quadratic"),
        pytest.param(
            ["neuron.surrogate=own_parts.laplace", "neuron.beta=5"],
            "own_parts.laplace",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_neuron_and_a_surrogate_are_computed_by_the_reference_engine(
    fdi_run, tmp_path, chosen, name
):
    folder = ["--config-dir", str(OWN / "conf")]
    found = fdi_run(*folder, *SMALL, *chosen)
    assert found.code == 0, found.err
    told = " ".join(found.out.split())
    assert f"{name} is computed by the reference engine, which is slower than engine=cpu" in told
    assert "about 9 times" in told
    (run,) = tmp_path.glob("results/runs/*/*/*/*")
    record = look(run)
    assert record.config["engine"]["name"] == "reference"
    assert "own_parts.laplace" in str(record.config)
    assert record.evidence is not None
    assert {"dataset", "surrogate"} <= record.evidence["code"].keys()
    refused = fdi_run(*folder, *SMALL, *chosen, "engine=cpu")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert re.search("engine=cpu does not compute .* use engine=reference", refused.err)


@pytest.mark.parametrize("chosen", ["own_izhikevich", "izhikevich"])
def test_a_neuron_that_is_described_is_for_the_compiled_engine(fdi_run, chosen):
    target = {"own_izhikevich": "izhikevich", "izhikevich": "fdi.snn.neuron"}[
        chosen
    ] + ".izhikevich"
    known = {"_target_": target, "surrogate": "superspike"}
    values = {"device": "cpu", "neuron": known, "model": {}, "paths": {"modules": [str(OWN)]}}
    assert CpuEngine.lacks(values) is None
    words = ["--config-dir", str(OWN / "conf"), *SMALL, f"neuron={chosen}"]
    refused = fdi_run(*words, "neuron.tau_w=0")
    assert refused.err == "fdi-run: neuron.tau_w = 0 must be 1e-06 to 1 s\n"
    changed = fdi_run(*words, "neuron.reset=subtract")
    assert changed.err == "fdi-run: neuron.reset = subtract must be constant\n"


@pytest.mark.slow  # compiled, and in processes of their own
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_sweep_trains_a_neuron_that_is_described(tmp_path: Path, launcher: str):
    shutil.copytree(OWN, tmp_path / "own")
    (tmp_path / "else").mkdir()
    sweep = ["-m", "--config-dir", "../own/conf", f"hydra/launcher={launcher}", *SMALL[:-1]]
    found = {}
    for engine, asked in (("cpu", "auto"), ("reference", "reference")):
        words = [*sweep, "neuron=own_izhikevich", "seed=1,2", f"engine={asked}"]
        done = call("run", *words, cwd=tmp_path / "else")
        assert done.returncode == 0, done.stderr
        runs = map(look, tmp_path.glob("else/results/runs/*/*/*/*"))
        found[engine] = [run for run in runs if run.config["engine"]["name"] == engine]
    assert [len(runs) for runs in found.values()] == [2, 2]
    for run in (run for runs in found.values() for run in runs):
        assert run.evidence is not None
        assert "neuron" in run.evidence["code"]
        assert run.result is not None
        assert run.result["rates"]["h1"] > 0


NADAM = ("optimizer=adam", "optimizer._target_=torch.optim.NAdam")


def test_any_optimizer_of_torch_trains(fdi_run):
    found = fdi_run(*commands.SMALL, commands.REFERENCE, *NADAM, "+optimizer.momentum_decay=0")
    assert found.code == 0, found.err


def test_show_draws_it(fdi_run, tmp_path: Path):
    folder = ["--config-dir", str(OWN / "conf"), "--out", "own.png"]
    found = fdi_run("show", "stripes", *folder, "samples=40", main=fdi.cli.data.main)
    assert found.code == 0, found.err
    assert found.out.startswith("stripes: 72 / 8 / 20 samples, 2 classes, input 1 x 8 x 8, ")
    assert (tmp_path / "own.png").read_bytes().startswith(b"\x89PNG")


ENGINE = """
from fdi.engine import Engine, oracle
from fdi.engine.reference import ReferenceEngine


class Counting(Engine):
    devices = ("cpu",)

    def __init__(self, *, loud: bool = False) -> None:
        self.inner, self.loud, self.steps = ReferenceEngine(), loud, 0

    @classmethod
    def remark(cls, values):
        return "my own engine computes this"

    def check(self, network):
        if len(network.hidden) > 1:
            raise ValueError("engine=counting computes one hidden layer; use engine=auto")

    def simulate(self, network, inputs, record=()):
        return oracle.simulate(network, inputs, record)

    def evaluate(self, network, inputs, labels, objective):
        return self.inner.evaluate(network, inputs, labels, objective)

    def step(self, network, inputs, labels, objective):
        return self.inner.step(network, inputs, labels, objective)
"""
OPTION = """
name: counting
_target_: my_engine.Counting
decides: [threads]
loud: true
"""


def test_an_engine_of_ones_own_trains_and_says_what_it_computes(fdi_run, tmp_path: Path):
    (tmp_path / "mine" / "engine").mkdir(parents=True)
    (tmp_path / "mine" / "my_engine.py").write_text(ENGINE)
    (tmp_path / "mine" / "engine" / "counting.yaml").write_text(OPTION)
    found = fdi_run("--config-dir", "mine", *commands.TINY[:-1], "engine=counting")
    assert found.code == 0, found.err
    assert "counting" in fdi_run("--help", "--config-dir", "mine").out
    assert "engine counting, device cpu" in found.out
    assert "my own engine computes this" in found.out
    (run,) = commands.records(tmp_path).values()
    assert run.origin["engine"] == "counting"
    assert run.evidence
    assert "engine" in run.evidence["code"]
