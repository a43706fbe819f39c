"""The engine for a GPU: layer by layer, the products of all steps of a trial at once, and the scan
over time in a kernel where there is one. It has never run on CUDA hardware. What it needs is slow
to import, so only its methods do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, Literal

from fdi.config.parts import NotNegative
from fdi.engine import Engine, Plan, only_autograd

if TYPE_CHECKING:
    import numpy as np

    from fdi.data.inputs import Input
    from fdi.engine.cuda.kept import Kept
    from fdi.snn.network import Activity, Network
    from fdi.snn.objective import Objective, Outcome


class CudaEngine(Engine):
    """A backward pass by hand, on the device and in the precision of the weights.

    `memory`: GiB of a training step; a batch that needs more is computed in parts, whose gradients
    are added in order. `kernels`: of Triton, where they compute a layer, if
    they prove right on the card ("auto"), unasked ("on"), or never ("off").
    """

    devices = ("cuda", "mps", "xpu")
    keeps = True

    def __init__(
        self, memory: NotNegative = 10.0, kernels: Literal["auto", "on", "off"] = "auto"
    ) -> None:
        from fdi.engine.device import exact

        exact()
        self.memory, self.kernels = memory, kernels

    @classmethod
    def lacks(cls, values: Mapping[str, Any]) -> str | None:
        return super().lacks(values) or only_autograd(values)

    def check(self, network: Network) -> None:
        from fdi.engine.checks import check_parts, check_wiring
        from fdi.engine.cuda.choice import COMPUTES

        check_parts(network, COMPUTES)
        check_wiring(network, COMPUTES.engine)

    def plan(self, network: Network, steps: int, batch: int, before: Mapping[str, Any]) -> Plan:
        """Its memory, as at the first start of the run: it decides how sums are added up."""
        from fdi.engine.cuda.memory import fitting

        memory = before.get("memory")
        if not isinstance(memory, float):
            memory = fitting(self.memory, network.projections[0].weight.device)
        self.memory = memory
        lines = self.outline(network, steps, batch)
        return Plan({"memory": memory, "plan": lines}, lines)

    def outline(self, network: Network, steps: int, batch: int) -> list[str]:
        """How a training step is computed, in lines: its memory, and layers without a kernel.
        ValueError if a sample does not fit.
        """
        from fdi.engine.cuda.choice import refusal
        from fdi.engine.cuda.memory import need

        size = self._samples(network, steps, batch)
        self._refuse_parts(network, size, batch)
        gib = need(network, steps) * size / 2**30
        lines = [f"{gib:.3g} GiB by count, in {math.ceil(batch / size)} parts of {size} samples"]
        for layer in network.layers:
            if why := refusal(network, layer, self.kernels):
                lines.append(f"{' and '.join(p.name for p in layer)} in plain torch: {why}")
        return lines

    def keep(self, network: Network, splits: Mapping[str, Input]) -> tuple[dict[str, Kept], str]:
        """The splits on the device of the network, unless they take more than `memory`."""
        from fdi.engine.checks import check_input
        from fdi.engine.cuda.choice import hears_events
        from fdi.engine.cuda.kept import keep, size

        lists = hears_events(network, self.kernels)
        names = " and ".join(splits)
        gib = sum(size(inputs, lists) for inputs in splits.values()) / 2**30
        if gib > self.memory:
            why = f"{gib:.3g} GiB are more than engine.memory = {self.memory:g} GiB"
            return {}, f"{names} sent batch by batch: {why}"
        for inputs in splits.values():
            check_input(network, inputs)
        device = network.projections[0].weight.device
        kept = {name: keep(inputs, device, lists) for name, inputs in splits.items()}
        return kept, f"{names} kept on the device: {gib:.3g} GiB"

    def simulate(self, network: Network, inputs: Input, record: tuple[str, ...] = ()) -> Activity:
        """Readout and spike counts; anything to `record` is left to the reference engine, which
        keeps all traces.
        """
        from fdi.engine.checks import check_input
        from fdi.engine.cuda.tape import forward
        from fdi.engine.reference import ReferenceEngine

        if record:
            return ReferenceEngine().simulate(network, inputs, record)
        self.check(network)
        check_input(network, inputs)
        return forward(network, inputs, self.kernels).activity

    def evaluate(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        import torch

        from fdi.engine.checks import check_input, check_labels
        from fdi.engine.cuda.tape import forward
        from fdi.engine.device import score

        self.check(network)
        check_input(network, inputs)
        check_labels(network, inputs, labels)

        def outcome(part: slice) -> Outcome:
            activity = forward(network, inputs[part], self.kernels).activity
            return score(activity, labels[part], objective)[1]

        with torch.no_grad():
            return reduce(add, map(outcome, self._parts(network, inputs)))

    def step(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        import torch

        from fdi.engine.checks import check_input, check_labels
        from fdi.engine.cuda import tape

        self.check(network)
        check_input(network, inputs)
        check_labels(network, inputs, labels)
        network.zero_grad(set_to_none=True)
        batch = len(labels)
        self._refuse_parts(network, self._samples(network, inputs.steps, batch), batch)
        outcome = reduce(
            add,
            (
                tape.step(network, inputs[part], labels[part], objective, batch, self.kernels)
                for part in self._parts(network, inputs)
            ),
        )
        for weight in network.parameters():
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        return outcome

    def _samples(self, network: Network, steps: int, batch: int) -> int:
        """How many are computed at once."""
        from fdi.engine.cuda.memory import fitting_samples

        return fitting_samples(network, steps, batch, self.memory)

    def _refuse_parts(self, network: Network, size: int, batch: int) -> None:
        """ValueError where the statistics of a part would stand for those of the batch."""
        if size < batch and not all(norm.by_sample for norm in network.norms.values()):
            raise ValueError(
                f"normalization takes its statistics over a batch, and {size} of {batch} samples "
                f"fit into engine.memory = {self.memory:g} GiB; raise it, lower "
                f"trainer.batch_size, or normalize each sample by itself, as model.norm=layer does"
            )

    def _parts(self, network: Network, inputs: Input) -> list[slice]:
        size = self._samples(network, inputs.steps, len(inputs))
        return [slice(i, i + size) for i in range(0, len(inputs), size)]
