"""metrics.csv holds the epochs of its run, each once."""

from __future__ import annotations

import pytest

from fdi.track.files import Metrics


@pytest.mark.parametrize(
    "rows",
    [
        *("", "1,task,0.5\n", "1,task,0.5\n3,task,0.4\n", "1,task,0.5\n2,task,0.4", "1\n\0"),
        *("1,task,0.5\n2,nope\n", "1,task,0.5\n2,task,x\n", "1,task,0.5\n2,task,0.5,0.1\n"),
    ],
)
def test_a_run_does_not_go_on_with_missing_rows(tmp_path, rows):
    path = tmp_path / "metrics.csv"
    path.write_text(f"epoch,phase,loss\n{rows}")
    with pytest.raises(ValueError, match=r"not all of the 2 epochs"):
        Metrics(path, 2)
    assert path.read_text() == f"epoch,phase,loss\n{rows}"


def test_metrics_reopened_drop_what_came_after_the_checkpoint(tmp_path):
    path = tmp_path / "metrics.csv"
    metrics = Metrics(path, 0)
    for epoch in (1, 2, 3):
        metrics.append({"epoch": epoch, "train/loss": epoch / 3})
    path.write_text(path.read_text() + "4,0.")
    again = Metrics(path, 2)
    again.append({"epoch": 3, "train/loss": 0.5})
    assert path.read_text() == f"epoch,train/loss\n1,{1 / 3}\n2,{2 / 3}\n3,0.5\n"
    assert Metrics(path, 0).header is None
    assert path.read_text() == ""
