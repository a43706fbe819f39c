"""How a network is computed over a whole trial. Engines share one contract, Engine, and one test
suite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

    from fdi.data.inputs import Input
    from fdi.snn.network import Activity, Network
    from fdi.snn.objective import Objective, Outcome


class Engine(Protocol):
    """`inputs`: Events, Frames or Constant of fdi.data.inputs, B samples; `labels`: int64 [B]."""

    def check(self, network: Network) -> None:
        """ValueError, one line, if the engine does not compute this network."""

    def simulate(self, network: Network, inputs: Input, record: tuple[str, ...] = ()) -> Activity:
        """Without gradients. `record`: any of "spikes", "potentials", "free" and "moments"."""

    def evaluate(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        """Without gradients."""

    def step(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        """Sets the gradient of every weight."""
