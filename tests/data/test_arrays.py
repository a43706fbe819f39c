"""Arrays, lists of events and data sets of others as data of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from making import one_line
from torch.utils.data import TensorDataset

from fdi.data.arrays import arrays, content, from_torch, hash_arrays
from fdi.data.dataset import Dataset
from fdi.data.inputs import Constant, Events, Frames

T, UNITS, DT = 10, 4, 0.01
STEPS = ", of 10 steps of dataset.dt = 0.01 s"
Y = np.arange(20) % 2


def spikes(seed: int = 0, share: float = 0.1, n: int = 20) -> np.ndarray:
    return (np.random.default_rng(seed).random((n, T, UNITS)) < share).astype(np.uint8)


def made(tmp_path: Path, data: Any, kind: Any = None, **options: Any) -> Dataset:
    path = tmp_path / "toy.npz"
    np.savez(path, **content(data, kind))  # type: ignore[arg-type]
    return arrays(file=path, kind=kind, **{"dt": DT, "valid": 0.2, **options})


def dense(data: Dataset, part: str = "train") -> np.ndarray:
    """[B, T, *shape]"""
    inputs = data.splits[part].inputs
    assert not isinstance(inputs, Constant)
    return inputs.dense(np.float64).swapaxes(0, 1)


@pytest.mark.parametrize(("share", "kind"), [(0.1, Events), (0.6, Frames)])
def test_counts_are_spikes_sparse_or_not(tmp_path: Path, share: float, kind: type):
    x = spikes(share=share)
    data = made(tmp_path, (x, Y, x[:6], Y[:6]), valid=0.2)
    assert isinstance(data.train.inputs, kind)
    assert (data.shape, data.steps, data.classes) == ((UNITS,), T, 2)
    assert [len(split) for split in data.splits.values()] == [16, 4, 6]
    np.testing.assert_array_equal(dense(data, "test"), x[:6])
    everything = np.concatenate([dense(data), dense(data, "valid")])
    assert sorted(map(bytes, everything.astype(np.uint8))) == sorted(map(bytes, x))
    assert data.nu == pytest.approx(dense(data).mean() / DT)


def test_without_a_test_set_a_share_is_held_out_the_same_for_all_seeds(tmp_path: Path):
    sets = [made(tmp_path, (spikes(), Y), test=0.3, valid=0.2, seed=seed) for seed in (0, 1)]
    assert [len(split) for split in sets[0].splits.values()] == [11, 3, 6]
    np.testing.assert_array_equal(dense(sets[0], "test"), dense(sets[1], "test"))
    assert sets[0].checksum != sets[1].checksum, "the validation split is that of the seed"


@pytest.mark.parametrize("make", [torch.tensor, np.asarray])
def test_values_with_a_sign_or_a_fraction_are_currents(tmp_path: Path, make):
    x = np.random.default_rng(0).normal(size=(20, T, UNITS)).astype(np.float32)
    data = made(tmp_path, (make(x), make(Y)))
    inputs = data.train.inputs
    assert isinstance(inputs, Frames)
    assert inputs.currents
    assert data.nu is None
    assert data.mean_square == pytest.approx(np.mean(inputs.values.astype(float) ** 2))
    whole = np.rint(3 * x).astype(np.int8)
    assert made(tmp_path, (whole, Y)).nu is None


def test_counts_keep_their_number_and_maps_their_shape(tmp_path: Path):
    x = np.zeros((20, T, 2, 3, 3), np.int64)
    x[:, 4, 1, 2, 0] = 3
    data = made(tmp_path, (x, Y), "spikes")
    assert data.shape == (2, 3, 3)
    np.testing.assert_array_equal(dense(data), x[:13])


def test_what_is_not_certain_is_declared(tmp_path: Path):
    x = np.random.default_rng(0).poisson(10, (20, T, UNITS))
    with one_line(r"up to \d+; .*: kind=spikes .*, counts or currents"):
        content((x, Y))
    with one_line("kind = counts, and data: x holds signs or fractions"):
        content((x - 0.5, Y), "counts")
    with one_line("events are spikes"):
        content(([(np.zeros(1), np.zeros(1, int))] * 20, Y), "counts")
    assert made(tmp_path, (x, Y), "spikes").nu == pytest.approx(10 / DT, rel=0.1)
    for kind in ("counts", "currents"):
        data = made(tmp_path, (x, Y), kind)
        assert (data.nu, data.said) == (None, f"arrays: the input is {kind}{STEPS}")
    assert (
        made(tmp_path, (spikes(), Y)).said == f"arrays: the input is spikes (0 and 1 alone){STEPS}"
    )


def test_an_image_stands_for_the_whole_trial(tmp_path: Path):
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 5, 5), np.uint8)
    with one_line(r"images, declared by kind=images, are \(samples, units\)"):
        content((images, Y))
    with one_line(r"kind = images: give dataset\.duration"):
        made(tmp_path, (images, Y), "images")
    data = made(tmp_path, (images, Y), "images", duration=0.2, standardize=True)
    inputs = data.train.inputs
    assert isinstance(inputs, Constant)
    assert (data.shape, data.steps, data.nu) == ((3, 5, 5), 20, None)
    both = np.concatenate([inputs.values, data.valid.inputs.values])
    np.testing.assert_allclose(both.mean((0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(both.std((0, 2, 3)), 1, rtol=1e-5)


def test_currents_are_standardized_and_coded(tmp_path: Path):
    x = np.random.default_rng(0).normal(size=(20, T, UNITS)) * [1, 1, 0.1, 0] + [0, 0, 9.8, 3]
    data = made(tmp_path, (x, Y), standardize=True)
    assert data.said.endswith(f"(signs or fractions){STEPS}, standardized by the training set")
    values = np.concatenate([dense(data), dense(data, "valid")])
    np.testing.assert_allclose(values.mean((0, 1)), 0, atol=1e-6)
    np.testing.assert_allclose(values.std((0, 1)), [1, 1, 1, 0], atol=1e-6)
    coded = made(tmp_path, (x, Y), coding="delta", threshold=0.5)
    assert isinstance(coded.train.inputs, Events)
    assert (coded.shape, coded.nu is None) == ((2 * UNITS,), False)
    assert coded.said.endswith("as spikes by delta coding")
    with one_line("spikes are neither standardized nor coded"):
        made(tmp_path, (spikes(), Y), standardize=True)


def test_labels_may_be_words_and_files_have_names_of_their_own(tmp_path: Path):
    words = np.where(Y == 0, "walk", "run")
    data = made(tmp_path, (spikes(), words))
    np.testing.assert_array_equal(data.test.labels, made(tmp_path, (spikes(), 1 - Y)).test.labels)
    path = tmp_path / "others.npz"
    np.savez(path, X_train=spikes(), activity=words, more=np.zeros(3))
    named = arrays(file=path, dt=DT, names={"x": "X_train", "y": "activity"})
    assert (named.classes, named.shape) == (2, (UNITS,))
    with one_line(r"names has X; there is X_train, activity, more"):
        arrays(file=path, dt=DT, names={"x": "X"})


def test_a_table_has_a_row_for_each_step(tmp_path: Path):
    rows = ["sample,label,ax,ay"]
    rows += [
        f"{i},{'up' if i % 2 else 'down'},{t + i / 7},9.8" for i in range(20) for t in range(5)
    ]
    path = tmp_path / "sensor.csv"
    path.write_text("\n".join(rows))
    data = arrays(file=path, dt=DT, valid=0.2)
    assert (data.shape, data.steps, data.classes) == ((2,), 5, 2)
    assert data.said.startswith("arrays: the input is currents")
    first = dense(data)[0]
    np.testing.assert_allclose(first[:, 0] - first[0, 0], range(5), rtol=1e-5)
    np.testing.assert_allclose(first[:, 1], 9.8, rtol=1e-5)
    path.write_text("\n".join(rows[:-1]))
    with one_line("samples of 4 to 5 rows"):
        arrays(file=path, dt=DT)
    path.write_text(rows[1])
    with one_line(r"no column label; name it with dataset\.names"):
        arrays(file=path, dt=DT)


@pytest.mark.parametrize("changes", [False, True])
def test_a_table_may_have_several_targets(tmp_path: Path, changes: bool):
    path = tmp_path / "arm.csv"
    target = np.arange(20)[:, None, None] + np.arange(11) + changes * np.arange(5)[:, None] / 8
    columns = ",".join(f"target/{k}" for k in reversed(range(11)))
    rows = [f"sample,emg,{columns}"] + [
        f"{i},{t / 7},{','.join(map(str, target[i, t, ::-1]))}" for i in range(20) for t in range(5)
    ]
    path.write_text("\n".join(rows))
    data = arrays(file=path, dt=DT, valid=0.2)
    assert (data.numbers, data.classes, data.shape) == (True, 11, (1,))
    expected = target if changes else target[:, 0]
    found = sorted(np.concatenate([s.labels for s in data.splits.values()]).tolist())
    np.testing.assert_allclose(found, expected)


def test_lists_of_events_are_binned(tmp_path: Path):
    lists = [(np.array([0.0, 0.05, 0.051]), np.array([2, 1, 1])) for _ in Y]
    data = made(tmp_path, (lists, Y))
    assert (data.steps, data.shape) == (6, (3,))
    expected = np.zeros((6, 3))
    expected[0, 2] = expected[5, 1] = 1
    np.testing.assert_array_equal(dense(data)[0], expected)
    counted = made(tmp_path, (lists, Y), binning="counts", duration=0.1)
    assert counted.steps == 10
    assert dense(counted)[0, 5, 1] == 2


class Camera:
    """As a data set of tonic."""

    sensor_size = (3, 2, 2)

    def __len__(self) -> int:
        return len(Y)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        events = np.array(
            [(0, 1, 1, 20_000)], dtype=[("x", int), ("y", int), ("p", int), ("t", int)]
        )
        return events, int(Y[index])


def test_data_sets_of_torch_and_tonic(tmp_path: Path, monkeypatch):
    x = spikes()
    torch_set = TensorDataset(torch.tensor(x), torch.tensor(Y))
    pair = made(tmp_path, (torch_set, torch_set))
    np.testing.assert_array_equal(dense(pair, "test"), x)
    one = made(tmp_path, torch_set)
    assert one.checksum == made(tmp_path, (x, Y)).checksum
    seen = made(tmp_path, Camera())
    assert (seen.shape, seen.steps) == ((2, 2, 3), 3)
    expected = np.zeros((3, 2, 2, 3))
    expected[2, 1, 1, 0] = 1
    np.testing.assert_array_equal(dense(seen)[0], expected)
    own = from_torch("mine", Camera(), Camera(), dt=DT, valid=0.2, seed=3)
    assert (own.name, own.shape, len(own.valid), len(own.test)) == ("mine", (2, 2, 3), 4, 20)
    monkeypatch.setattr(Camera, "sensor_size", (2, 1, 2))
    with one_line(r"a unit of the sensor \(2, 1, 2\) = \d is outside"):
        from_torch("mine", Camera(), dt=DT)


def test_the_same_content_has_the_same_digest():
    assert hash_arrays(content((spikes(), Y))) == hash_arrays(content({"y": Y, "x": spikes()}))
    assert hash_arrays(content((spikes(), Y))) != hash_arrays(content((spikes(1), Y)))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((spikes()[0], Y), r"x must be \(samples, T, units\) or \(samples, T, C, H, W\), it is"),
        ((spikes(), Y[:-1]), "x: 20 samples but 19 labels"),
        ((spikes(), Y + 0.5), "numbers that are no classes; give them as"),
        ((spikes(), Y - 1), r"y = -1 is outside 0\.\.19"),
        ((spikes(), Y, spikes()[:, :5], Y), "differ from those of x_test"),
        ({"x": spikes()}, "no y; give the label of each sample"),
        ({"x": spikes(), "y": Y, "z": Y}, "no use for z"),
        (([(np.zeros(2), np.zeros(3, int))] * 20, Y), "sample 0 has"),
        (
            ([(np.array([-1.0]), np.array([0]))] * 20, Y),
            r"times = -1\.0 s must be finite",
        ),
        ([(np.zeros((i, 3)), i % 2) for i in range(8)], "samples of different shapes; cut"),
        (3, r"data = int must be \(x, y\)"),
    ],
)
def test_what_does_not_fit_is_said_in_a_line(data: Any, words: str):
    with one_line(words):
        content(data)


def test_a_file_that_is_none(tmp_path: Path):
    (tmp_path / "x.npz").write_text("no arrays")
    with one_line(r"cannot be read as arrays \(BadZipFile: .*\); write it with numpy\.savez"):
        arrays(file=tmp_path / "x.npz", dt=DT)
    with one_line(r"has 10 steps, of dataset\.dt each; leave it out"):
        made(tmp_path, (spikes(), Y), duration=0.1)
