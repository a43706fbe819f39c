"""Ctrl-C in a sweep that has not got far leaves no folder that nobody can make sense of."""

from __future__ import annotations

from pathlib import Path

from commands import REFERENCE, SMALL

from fdi.track.files import write_status


def started(config, directory: Path, *_) -> dict:
    """A worker that is interrupted before its first epoch."""
    directory.mkdir(parents=True, exist_ok=True)
    write_status(directory, "running")
    raise KeyboardInterrupt


def test_a_cell_that_was_interrupted_before_its_first_epoch_leaves_nothing(fdi_run, tmp_path):
    found = fdi_run("-m", "seed=0,1", *SMALL, REFERENCE, run=started)
    assert found.code == 130
    assert not list(tmp_path.glob("results/runs/*"))


def test_a_cell_with_an_epoch_is_kept(fdi_run, tmp_path):
    def trained(config, directory: Path, *given) -> dict:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "metrics.csv").write_text("epoch\n1\n")
        return started(config, directory)

    found = fdi_run("-m", "seed=0,1", *SMALL, REFERENCE, run=trained)
    assert found.code == 130
    assert len(list(tmp_path.glob("results/runs/*/*/*/*/metrics.csv"))) == 1
