"""How a network is computed over a whole trial. Engines share one contract, Engine, and one test
suite; importing this module imports no torch.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from fdi.data.inputs import Input
    from fdi.snn.network import Activity, Network
    from fdi.snn.objective import Objective, Outcome


class Plan(NamedTuple):
    """How an engine computes the training steps of a run: `record`, which it sees again when the
    run goes on, and `lines` for the user.
    """

    record: Mapping[str, Any]
    lines: list[str]


class Engine(ABC):
    """To define another engine, inherit from this class in a module of your own, and name it in a
    file conf/engine/NAME.yaml: `name` for ids and tables, `_target_`, `decides` (keys of
    identity.exclude that do change its numbers, such as device or threads), and the keyword
    arguments of the class. If it takes `threads`, it gets those of the run.

    `devices`: kinds of device that it runs on. `keeps`: whether it may keep data there, see `keep`.
    The methods get `inputs`, Events, Frames or Constant
    of fdi.data.inputs with B samples, and `labels`, their targets as fdi.snn.objective says.
    """

    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    keeps: ClassVar[bool] = False

    @classmethod
    def lacks(cls, values: Mapping[str, Any]) -> str | None:
        """What in the `values` of a configuration the engine does not compute, as far as can be
        seen there; None if nothing is known. For engine=auto, before anything is built.
        """
        device = values.get("device")
        return None if cls.runs_on(device) else f"device={device}"

    @classmethod
    def runs_on(cls, device: Any) -> bool:
        """Of cuda:1, too, if `devices` has cuda."""
        return isinstance(device, str) and re.sub(r":\d+$", "", device) in cls.devices

    @classmethod
    def remark(cls, values: Mapping[str, Any]) -> str | None:
        """A line for the user of a run with such `values`."""
        return None

    @abstractmethod
    def check(self, network: Network) -> None:
        """ValueError, one line, if the engine does not compute this network; fdi.engine.checks
        helps to say so.
        """

    def plan(
        self,
        network: Network,
        steps: int,
        batch: int,
        splits: Mapping[str, Input],
        before: Mapping[str, Any],
    ) -> Plan:
        """How training steps of `batch` samples are computed; `splits`: those that `keep` will get;
        `before`: `record` of the first start of a run that goes on. ValueError if they cannot be.
        """
        return Plan({}, [])

    def keep(
        self, network: Network, splits: Mapping[str, Input], batch: int = 0
    ) -> tuple[Mapping[str, Any], str]:
        """The inputs of as many splits as the engine keeps on its device beside training steps of
        `batch` samples, whose batches it gets from then on, and a line that says so; asked only if
        it `keeps`.
        """
        raise NotImplementedError

    @abstractmethod
    def simulate(self, network: Network, inputs: Input, record: tuple[str, ...] = ()) -> Activity:
        """Without gradients. `record`: any of "spikes", "potentials", "free" and "moments"."""

    def measuring(self, inputs: Input) -> Callable[[Network], Activity]:
        """A function that simulates these `inputs` with "moments", for networks that are drawn
        layer by layer; it may keep what the layers do that are as in an earlier call.
        """
        return lambda network: self.simulate(network, inputs, record=("moments",))

    @abstractmethod
    def evaluate(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        """Without gradients."""

    @abstractmethod
    def step(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        """Sets the gradient of every weight."""

    def norms(self, gradients: Sequence[Any]) -> list[float]:
        """Of these gradients: in float64, or, where a device may have none, as shares of the
        largest element. In float32 the square of 2e-23 is 0, and a gradient that the optimizer
        follows would count as none.
        """
        import torch
        from torch.linalg import vector_norm

        if not gradients or gradients[0].device.type == "cpu":
            return [float(vector_norm(each, dtype=torch.float64)) for each in gradients]
        largest = torch.stack([vector_norm(each, torch.inf) for each in gradients])
        sizes = largest.clamp_min(torch.finfo(largest.dtype).tiny)
        norms = torch.stack([vector_norm(each / size) for each, size in zip(gradients, sizes)])
        return (norms * largest).cpu().tolist()
