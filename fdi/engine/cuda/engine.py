"""The engine for a GPU: the reference engine in parts of a batch that fit into memory, on data that
stay on the device. It has never run on CUDA hardware. What it needs is slow to import, so only its
methods do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from fdi.config.parts import NotNegative
from fdi.engine import Plan
from fdi.engine.reference import ReferenceEngine

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from fdi.data.inputs import Input
    from fdi.engine.cuda.kept import Kept
    from fdi.snn.network import Network
    from fdi.snn.objective import Objective, Outcome


class CudaEngine(ReferenceEngine):
    """Plain torch and autograd, on the device and in the precision of the weights.

    `memory`: GiB of a training step and of the data kept beside it; a batch that needs more is
    computed in parts, whose gradients are added in order.
    """

    devices = ("cuda",)
    keeps = True

    def __init__(self, memory: NotNegative = 10.0) -> None:
        super().__init__()
        self.memory = memory
        self._needs: WeakKeyDictionary[Network, dict[int, float]] = WeakKeyDictionary()

    def plan(
        self,
        network: Network,
        steps: int,
        batch: int,
        splits: Mapping[str, Input],
        before: Mapping[str, Any],
    ) -> Plan:
        """Its memory, as at the first start of the run: it decides how sums are added up."""
        from fdi.engine.cuda.memory import usable_memory

        memory = before.get("memory")
        if not isinstance(memory, float):
            memory = usable_memory(self.memory, network.projections[0].weight.device)
        self.memory = memory
        size = self._samples(network, steps, batch)
        self._refuse_parts(network, size, batch)
        gib, parts = self._need(network, steps) * size, math.ceil(batch / size)
        line = f"{gib:.3g} GiB by count, in {parts} parts of {size} samples"
        return Plan({"memory": memory, "plan": [line]}, [line])

    def keep(
        self, network: Network, splits: Mapping[str, Input], batch: int = 0
    ) -> tuple[dict[str, Kept], str]:
        """The splits on the device of the network, unless they leave no room in `memory` for a step
        of `batch` samples.
        """
        from fdi.engine.checks import check_input
        from fdi.engine.cuda.kept import bytes_kept, copy_to

        names, gib = " and ".join(splits), sum(map(bytes_kept, splits.values())) / 2**30
        one = self._need(network, max(x.steps for x in splits.values()))
        step = one * min(batch, math.floor(self.memory / one))
        if gib + step > self.memory:
            return {}, (
                f"{names} sent batch by batch: {gib:.3g} GiB beside a step of {step:.3g} are more "
                f"than engine.memory = {self.memory:g} GiB"
            )
        for inputs in splits.values():
            check_input(network, inputs)
        device = network.projections[0].weight.device
        kept = {name: copy_to(inputs, device) for name, inputs in splits.items()}
        return kept, f"{names} kept on the device: {gib:.3g} GiB"

    def evaluate(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        """Simulated in parts, and judged as a whole."""
        import torch

        from fdi.engine.device import score
        from fdi.snn.network import Activity

        self._check(network, inputs, labels)
        parts = [self.simulate(network, inputs[part]) for part in self._parts(network, inputs)]
        readout = torch.cat([each.readout for each in parts], 1)
        counts = {
            name: torch.cat([each.counts[name] for each in parts]) for name in parts[0].counts
        }
        return score(Activity(readout, counts), labels, objective)[1]

    def step(
        self, network: Network, inputs: Input, labels: np.ndarray, objective: Objective
    ) -> Outcome:
        self._check(network, inputs, labels)
        size = self._samples(network, inputs.steps, len(inputs))
        self._refuse_parts(network, size, len(inputs))
        return super().step(network, inputs, labels, objective)

    def _check(self, network: Network, inputs: Input, labels: np.ndarray) -> None:
        from fdi.engine.checks import check_input, check_labels

        check_input(network, inputs)
        check_labels(network, inputs, labels)

    def _tensor(self, network: Network, inputs: Input) -> Tensor:
        from fdi.engine.cuda.kept import as_tensor

        return as_tensor(inputs, network.projections[0].weight, network.input_shape)

    def _parts(self, network: Network, inputs: Input) -> list[slice]:
        size = self._samples(network, inputs.steps, len(inputs))
        return [slice(i, i + size) for i in range(0, len(inputs), size)]

    def _samples(self, network: Network, steps: int, batch: int) -> int:
        """How many are computed at once, in nearly equal parts of the batch; ValueError if one
        needs more than `memory`.
        """
        one = self._need(network, steps)
        if one > self.memory:
            raise ValueError(
                f"a sample of {steps} steps needs {one:.3g} GiB in this network, more than "
                f"engine.memory = {self.memory:g} GiB; raise engine.memory, or shorten the trial"
            )
        parts = math.ceil(batch / math.floor(self.memory / one))
        return math.ceil(batch / parts)

    def _need(self, network: Network, steps: int) -> float:
        """GiB of a sample."""
        from fdi.engine.cuda.memory import need

        known = self._needs.setdefault(network, {})
        if steps not in known:
            known[steps] = need(network, steps) / 2**30
        return known[steps]

    def _refuse_parts(self, network: Network, size: int, batch: int) -> None:
        """ValueError where the statistics of a part would stand for those of the batch."""
        if size < batch and not all(norm.by_sample for norm in network.norms.values()):
            raise ValueError(
                f"normalization takes its statistics over a batch, and {size} of {batch} samples "
                f"fit into engine.memory = {self.memory:g} GiB; raise it, lower "
                f"trainer.batch_size, or normalize each sample by itself, as model.norm=layer does"
            )
