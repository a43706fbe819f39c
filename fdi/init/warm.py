"""Weights that were trained before, of a whole network or of some of its populations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fdi.config import Mistake
from fdi.config.parts import choose
from fdi.init.named import named
from fdi.init.strategy import Drawing, Measure, Strategy
from fdi.track import evidence, record
from fdi.track.files import CHECKPOINT, hashed

if TYPE_CHECKING:
    from torch import Tensor

    from fdi.snn.network import Network


def file_of(run: str) -> Path:
    """The file with the weights, of a folder its checkpoint. Raises fdi.Mistake without one."""
    path = Path(run).expanduser()
    file = path if path.suffix == ".npz" else path / CHECKPOINT
    if not file.is_file():
        raise Mistake(
            f"init.run = {run}: there is no {file}; give the folder of a trained run, or a file "
            f".npz with an array for each projection"
        )
    return file


def checksum_of(run: str) -> str:
    """16 hex digits of a hash over that file."""
    return hashed(file_of(run))


@dataclass(frozen=True)
class FromRun(Strategy):
    """The weights onto `populations` (names, hidden, or None: all, the readout among them), their
    normalization and learned time constants are those of `run`: a folder of a run, with `weights`
    of its last epoch or of its best one on validation, or a file .npz with an array for each
    projection, such as input->h1. The `others` are drawn as that initialization does.

    `checksum`: of the file, which must be that one.
    """

    run: str
    checksum: str
    populations: Sequence[str] | None = None
    weights: Literal["last", "best"] = "last"
    others: Literal["kaiming", "fluct", "xavier", "pytorch", "orthogonal"] = "kaiming"

    @property
    def nu(self) -> Any:
        return named(self.others).nu

    def chosen(self, name: str, readout: bool = False) -> bool:
        """Whether the weights onto a population are taken."""
        names = self.populations
        return names is None or name in names or ("hidden" in names and not readout)

    def takes_readout(self) -> bool:
        return self.chosen("readout", readout=True)

    def check(self, network: Network) -> None:
        hidden = [population.name for population in network.hidden]
        known = [*hidden, network.readout.name, "hidden"]
        for name in self.populations or ():
            if name not in known:
                raise Mistake(f"init.populations: no population {name}; {choose(name, known)}")
        if network.time_constants():
            raise Mistake(
                "init=from_run: neurons with time constants of their own draw them anew, and the "
                "weights were trained with others; set neuron.tau_shape=null"
            )
        for name, own in network.weights().items():
            target = name.partition("->")[2] or name.partition(".")[0]
            if self.chosen(target, target == network.readout.name):
                self._fitting(name, tuple(own.shape))

    def draw(self, drawing: Drawing) -> None:
        name = drawing.population.name
        if not self.chosen(name, not drawing.population.neuron.spiking):
            named(self.others).draw(drawing)
            return
        for projection in drawing.afferents:
            shape = tuple(projection.weight.shape)
            projection.weight.data.copy_(self._fitting(projection.name, shape))

    def correct(self, network: Network, measure: Measure, analogue: bool) -> None:
        """Take what normalization learned and averaged, and leaks."""
        for population in network.layers[-1]:
            if not self.chosen(population.name):
                named(self.others).correct(network, measure, analogue)
                continue
            for name, own in network.weights().items():
                if name.startswith(f"{population.name}."):
                    own.copy_(self._fitting(name, tuple(own.shape)))

    def _fitting(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """The weights of this name. Raises fdi.Mistake if there are none of that shape."""
        given = _read(str(Path(self.run).expanduser()), self.checksum, self.weights)
        if name not in given:
            raise Mistake(f"init.run = {self.run} has no {name}; {choose(name, given)}")
        if tuple(given[name].shape) != shape:
            raise Mistake(
                f"init.run = {self.run}: {name} is {tuple(given[name].shape)} there and {shape} "
                f"here; choose others with init.populations"
            )
        return given[name]


@lru_cache(maxsize=2)
def _read(run: str, checksum: str, weights: str) -> Mapping[str, Tensor]:
    import torch

    file, checksum_there = file_of(run), checksum_of(run)
    if checksum != checksum_there:
        raise Mistake(
            f"init.run = {file} has the checksum {checksum_there}, and init.checksum is "
            f"{checksum}; these are other weights"
        )
    if file.suffix != ".npz":
        try:
            state = evidence.checkpoint(Path(run), record.whole(Path(run), anywhere=True))
        except ValueError as error:
            raise Mistake(f"init.run: {error}") from error
        best = state["progress"]["best_weights"]
        return best if weights == "best" and best else state["weights"]
    try:
        with np.load(file, allow_pickle=False) as packed:
            given = {name: torch.from_numpy(packed[name]) for name in packed.files}
    except Exception as error:  # whatever a file may hold
        reason = " ".join(str(error).split())[:100]
        raise Mistake(f"init.run = {file} holds no weights ({reason})") from error
    for name, values in given.items():
        if not values.isfinite().all():
            raise Mistake(f"init.run = {file}: {name} must be finite")
    return given
