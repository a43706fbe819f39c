"""A fourth engine, from outside the package."""

from __future__ import annotations

from pathlib import Path

from commands import TINY, process, records

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
WORDS = ("--config-dir", "mine", *TINY[:-1], "engine=counting")


def test_an_engine_of_ones_own_trains_and_says_what_it_computes(tmp_path: Path):
    (tmp_path / "mine" / "engine").mkdir(parents=True)
    (tmp_path / "mine" / "my_engine.py").write_text(ENGINE)
    (tmp_path / "mine" / "engine" / "counting.yaml").write_text(OPTION)
    child = process(*WORDS, cwd=tmp_path)
    out, err = child.communicate()
    assert child.returncode == 0, err
    assert "engine counting, device cpu" in out
    assert "my own engine computes this" in out
    (run,) = records(tmp_path).values()
    assert run.origin["engine"] == "counting"
    assert run.evidence
    assert "engine" in run.evidence["code"]
