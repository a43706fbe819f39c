"""What a sweep shows of the cells that run."""

from __future__ import annotations

from fdi.cli import sweep
from fdi.cli.cells import Cell

RUNNING = {"0": {"state": "running", "epoch": 5, "epochs": 20}, "1": {"state": "missing"}}


def test_the_first_cell_shows_its_loss_and_the_time_left(tmp_path, monkeypatch):
    cells = [Cell((f"seed={n}",), {"probe": "before"}, tmp_path / f"{n}") for n in range(2)]
    watch = sweep.Watch(cells, cells, None, {cell.directory: cell.overrides[0] for cell in cells})
    monkeypatch.setattr(sweep.time, "monotonic", lambda: watch.started + 30)
    monkeypatch.setattr(sweep, "progress", lambda directory: RUNNING[directory.name])
    assert watch.look() == "epoch 5/20, 4 min left", "a quarter of a cell of two took 30 s"
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "metrics.csv").write_text("epoch,train/loss\n1,2.25\n2,1.125\n3,")
    assert watch.look() == "epoch 5/20 (loss 1.12), 4 min left"
