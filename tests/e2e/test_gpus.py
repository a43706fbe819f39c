"""Cells beside each other take the visible GPUs in turn."""

from types import SimpleNamespace

from omegaconf import OmegaConf

from fdi.cli import launch


def test_gpus_are_taken_in_turn(monkeypatch):
    monkeypatch.setattr("fdi.devices.gpus", lambda: 2)
    local = OmegaConf.create({"n_jobs": -1})

    def cell(device, *overrides):
        return SimpleNamespace(overrides=overrides, values={"device": device, "threads": 1})

    cells = [cell("cuda", "seed=0"), cell("cuda", "seed=1"), cell("cuda", "seed=2")]
    found = launch._shared_gpus(cells, local)
    given = [launch._overrides(c, i, local, found)[-1] for i, c in enumerate(cells)]
    assert (found, given) == (2, ["device=cuda:0", "device=cuda:1", "device=cuda:0"])
    assert launch._shared_gpus([cell("cpu"), cell("cuda:1")], local) == 0
    assert launch._shared_gpus(cells, OmegaConf.create({"cpus_per_task": 4})) == 0
    assert launch._overrides(cell("cpu", "device=auto"), 0, local, 0)[-1] == "device=cpu"
