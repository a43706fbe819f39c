"""A fourth engine, from outside the package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
SMALL = ["dataset.samples=20", "dataset.units=5", "model.hidden=8", "trainer.epochs=1",
         "trainer.batch_size=20"]  # fmt: skip


def run(cwd: Path, *words: str) -> subprocess.CompletedProcess:
    code = "import sys; from fdi.cli.run import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "--config-dir", "mine", *SMALL, *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def test_an_engine_of_ones_own_trains_and_says_what_it_computes(tmp_path: Path):
    (tmp_path / "mine" / "engine").mkdir(parents=True)
    (tmp_path / "mine" / "my_engine.py").write_text(ENGINE)
    (tmp_path / "mine" / "engine" / "counting.yaml").write_text(OPTION)
    found = run(tmp_path, "engine=counting")
    assert found.returncode == 0, found.stderr
    assert "engine counting, device cpu" in found.stdout
    assert "my own engine computes this" in found.stdout
    (own,) = tmp_path.glob("results/runs/*/*/*/*")
    record = json.loads((own / "record.json").read_text())["run"]
    assert record["engine"] == "counting"
    assert "engine" in record["code"]
    for words, line in (
        (["model.depth=2"], "engine=counting computes one hidden layer; use engine=auto"),
        (["device=mps"], "engine=counting does not run on device=mps"),
        (["engine.loud=true", "+engine.wide=1"], "unexpected keyword argument 'wide'"),
        (["engine.name=cpu"], "engine.name = cpu is that of fdi.engine.cpu"),
    ):
        refused = run(tmp_path, "engine=counting", "seed=1", *words)
        assert refused.returncode == 2, refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert line in refused.stderr or "PyTorch finds no MPS device" in refused.stderr
