"""From arrays to a trained network that is called on new data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import making
import numpy as np
import pytest
import torch

import fdi

T, UNITS = 20, 6
SMALL: dict[str, Any] = {k: v for k, v in making.SMALL.items() if "dataset" not in k}
pytestmark = pytest.mark.usefixtures("here")


def toy(n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The first or the last three units are busy."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    rates = np.where((np.arange(UNITS) < 3) == (y[:, None] == 0), 0.4, 0.02)
    return (rng.random((n, T, UNITS)) < rates[:, None]).astype(np.uint8), y


def test_a_run_on_arrays_is_kept_by_their_content_and_called_without_them():
    x, y = toy()
    run = fdi.run("optimizer.lr=0.01", data=(x, y), **SMALL | {"trainer.epochs": 10})
    (file,) = Path("results/data").iterdir()
    assert run.config.dataset.name == file.stem
    assert run.result is not None
    assert run.result["test_accuracy_last"] >= 0.9
    before = (run.directory / "run.json").stat().st_mtime_ns
    again = fdi.run("optimizer.lr=0.01", data={"y": y, "x": x}, **SMALL | {"trainer.epochs": 10})
    assert again.directory == run.directory
    assert (run.directory / "run.json").stat().st_mtime_ns == before
    file.unlink()
    new, labels = toy(40, seed=1)
    table = fdi.load(run.directory).predictions(new)
    assert list(table) == ["sample", "predicted", "readout/0", "readout/1"]
    assert (table["predicted"] == labels).mean() >= 0.9
    x_TBN = torch.from_numpy(new).swapaxes(0, 1).float()
    readout = run.network(x_TBN).amax(0)
    np.testing.assert_allclose(table[["readout/0", "readout/1"]], readout.detach(), rtol=1e-4)
    assert not run.network.training


def test_predictions_on_the_test_set_are_those_of_the_result():
    run = fdi.run(data=toy(), **SMALL)
    table = run.predictions()
    assert run.result is not None
    accuracy = (table["label"] == table["predicted"]).mean()
    assert accuracy == pytest.approx(run.result["test_accuracy_last"])


def test_spikes_and_potentials_are_tables():
    run = fdi.run(data=toy(), **SMALL, init="kaiming")
    new, _ = toy(3, seed=1)
    spikes, potentials = run.spikes(new), run.potentials(new)
    activity = run.network.activity(new.swapaxes(0, 1), ("spikes", "potentials"))
    assert len(spikes) == int(activity.spikes["h1"].sum()) > 0
    assert list(spikes) == ["sample", "population", "unit", "time"]
    assert len(potentials) == 3 * T * 8
    row = potentials[(potentials["sample"] == 2) & (potentials["unit"] == 5)]
    np.testing.assert_allclose(row["time"], np.arange(T) * run.network.dt)
    expected = activity.potentials["h1"][:, 2, 5].detach()
    np.testing.assert_allclose(row["potential"], expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(fdi.Mistake, match=r"it must be \(samples, T, 6\)"):
        run.predictions(new[..., :5])


def test_sweep_and_probe_take_arrays_too():
    x, y = toy()
    runs = fdi.sweep(data=(x, y), init=["kaiming", "fluct"], seed=[0, 1], **SMALL)
    assert list(runs["init"]) == ["kaiming", "kaiming", "fluct", "fluct"]
    assert runs["data_checksum"].nunique() == 2, "the validation split is that of the seed"
    rows = fdi.probe(data=(x, y), init="fluct", **SMALL)
    assert rows["population"].iloc[0] == "h1"


def test_errors_are_one_family_and_names_are_suggested():
    for refused in (
        lambda: fdi.run(data=(toy()[0][0], toy()[1]), **SMALL),
        lambda: fdi.run("nonsense=1"),
        lambda: fdi.load("nowhere"),
        lambda: fdi.results("nowhere"),
        lambda: fdi.figures.draw("nothing"),
        lambda: fdi.initialize(torch.nn.Identity(), batch=torch.zeros(1, 1, 1), dt=1e-3),
        lambda: fdi.init.psp_kernel_integrals(20e-3, 10e-3, dt=-1.0),
    ):
        with pytest.raises(fdi.Error) as error:
            refused()
        assert isinstance(error.value, fdi.Mistake)
        assert isinstance(error.value, ValueError)
    from fdi.data.inputs import DataError
    from fdi.track.process import Busy
    from fdi.train.trainer import Diverged

    assert all(issubclass(kind, fdi.Error) for kind in (DataError, Busy, Diverged))
    with pytest.raises(AttributeError, match=r"no attribute swep; did you mean sweep\?"):
        _ = fdi.swep  # type: ignore[attr-defined]
    assert set(fdi.__all__) <= set(dir(fdi))
    assert not Path("results/runs").exists()
