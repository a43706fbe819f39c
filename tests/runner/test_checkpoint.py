"""A checkpoint is whole, or it is refused by name."""

from __future__ import annotations

import os
import random
import zipfile

import pytest
import torch

from fdi.runner import training
from fdi.snn.models import dense
from fdi.snn.neuron import lif
from fdi.track.files import read_checkpoint
from fdi.train.trainer import Progress


@pytest.fixture
def trained():
    network = dense(
        neuron=lif(), hidden=8, depth=1, input_shape=(10,), classes=2, steps=10, dt=1e-3
    )
    for weight in network.parameters():
        torch.nn.init.normal_(weight)
        weight.grad = torch.ones_like(weight)
    optimizer = torch.optim.Adam(network.parameters())
    optimizer.step()
    return network, optimizer


def content(path, network, optimizer) -> list:
    progress = training.load_checkpoint(path, read_checkpoint(path), network, optimizer)
    weights = [weight.detach().clone() for weight in network.parameters()]
    states = [v.clone() for s in optimizer.state_dict()["state"].values() for v in s.values()]
    return [*weights, *states, torch.tensor(progress.epoch)]


def same(one: list, other: list) -> bool:
    return all(map(torch.equal, one, other))


@pytest.mark.parametrize("count", [20, pytest.param(400, marks=pytest.mark.slow)])
def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path, trained, count):
    path = tmp_path / "last.pt"
    network, optimizer = trained
    training.save_checkpoint(path, network, optimizer, Progress(epoch=3))
    whole, expected = path.read_bytes(), content(path, *trained)
    rng, refused = random.Random(count), 0
    for _ in range(count):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            found, said = content(path, *trained), ""
        except ValueError as error:
            found, said = expected, str(error)
        assert same(found, expected), "resumed with other numbers"
        if said:
            refused += 1
            assert said.startswith(f"{path} is damaged (")
            assert len(said.splitlines()) == 1
        assert path.read_bytes() == damaged
    assert refused > count / 4


def test_a_tensor_that_is_marked_as_a_folder_is_refused(tmp_path, trained):
    path = tmp_path / "last.pt"
    network, optimizer = trained
    training.save_checkpoint(path, network, optimizer, Progress())
    damaged = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        names = [entry.filename for entry in archive.infolist()]
    name = next(name for name in names if name.endswith("data/0"))
    place = damaged.rindex(name.encode())  # in the archive's list, whose entries begin 46 before
    damaged[place - 46 + 38] |= 0x10
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"data/0 is marked as a folder\); delete it to start"):
        content(path, *trained)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path, trained, value):
    path = tmp_path / "last.pt"
    with torch.no_grad():
        next(trained[0].parameters())[0, 0] = value
    network, optimizer = trained
    training.save_checkpoint(path, network, optimizer, Progress())
    with pytest.raises(ValueError, match=r"last.pt is damaged \(weights of .* are not finite\)"):
        training.load_checkpoint(path, read_checkpoint(path), *trained)


def test_what_is_no_file_is_refused(tmp_path, trained):
    path = tmp_path / "last.pt"
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"last.pt is damaged \(not a file\)"):
        training.load_checkpoint(path, read_checkpoint(path), *trained)
