"""The engine for a GPU: layer by layer, the products of all steps of a trial at once, and the scan
over time in a kernel where there is one. It has never run on CUDA hardware. What it needs is slow
to import, so only its methods do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, Literal

from fdi.config.parts import NotNegative
from fdi.engine import Engine, Plan, only_autograd

if TYPE_CHECKING:
    import numpy as np
    import torch

    from fdi.data.inputs import Input
    from fdi.engine.cuda.graph import Graph
    from fdi.engine.cuda.kept import Kept
    from fdi.snn.network import Activity, Network
    from fdi.snn.objective import Objective, Outcome


CAPTURING = {"cuda"}  # kinds of devices that know graphs


class CudaEngine(Engine):
    """A backward pass by hand, on the device and in the precision of the weights.

    `memory`: GiB of a training step and of the data kept beside it; a batch that needs more is
    computed in parts, whose gradients are added in order. `kernels`: of Triton, where they compute
    a layer, if they prove right on the card ("auto"), unasked ("on"), or never ("off"). `graphs`:
    whole batches of kept data are computed as a CUDA graph, captured once.
    """

    devices = ("cuda",)
    keeps = True

    def __init__(
        self,
        memory: NotNegative = 10.0,
        kernels: Literal["auto", "on", "off"] = "auto",
        graphs: bool = False,
    ) -> None:
        from fdi.engine.device import exact

        exact()
        self.memory, self.kernels, self.graphs = memory, kernels, graphs
        self._batch = 0  # samples of a step that is captured
        self._ready: tuple[Any, ...] | None = None  # what a step was computed with: all is compiled
        self._graph: Graph | None = None

    @classmethod
    def lacks(cls, values: Mapping[str, Any]) -> str | None:
        model = values.get("model")
        averages = isinstance(model, Mapping) and model.get("pooling") == "average"
        pooling = "model.pooling=average" if averages else None
        return super().lacks(values) or pooling or only_autograd(values)

    def check(self, network: Network) -> None:
        from fdi.engine.checks import check_parts, check_wiring
        from fdi.engine.cuda.choice import COMPUTES

        check_parts(network, COMPUTES)
        check_wiring(network, COMPUTES.engine)

    def try_kernels(self, network: Network, device: torch.device) -> None:
        """A card may let in one process at a time, and each kernel is tried in one of its own."""
        from fdi.engine.cuda.choice import layers_and_readout, refusal

        for layer in layers_and_readout(network):
            refusal(network, layer, self.kernels, device)

    def plan(
        self,
        network: Network,
        steps: int,
        batch: int,
        splits: Mapping[str, Input],
        before: Mapping[str, Any],
    ) -> Plan:
        """Its memory, as at the first start of the run: it decides how sums are added up."""
        from fdi.engine.cuda.memory import fitting

        memory = before.get("memory")
        if not isinstance(memory, float):
            memory = fitting(self.memory, network.projections[0].weight.device)
        self.memory = memory
        lines = self.outline(network, steps, batch)
        if self.graphs:
            self._refuse_graphs(network, splits, batch)
            lines.append(f"steps of {batch} samples as a CUDA graph")
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

    def keep(
        self, network: Network, splits: Mapping[str, Input], batch: int = 0
    ) -> tuple[dict[str, Kept], str]:
        """The splits on the device of the network, unless they leave no room in `memory` for a step
        of `batch` samples.
        """
        from fdi.engine.checks import check_input
        from fdi.engine.cuda.choice import hears_events
        from fdi.engine.cuda.kept import keep
        from fdi.engine.cuda.memory import data

        names = " and ".join(splits)
        if why := self._why_sent(network, splits, batch):
            return {}, f"{names} sent batch by batch: {why}"
        for inputs in splits.values():
            check_input(network, inputs)
        device, lists = network.projections[0].weight.device, hears_events(network, self.kernels)
        kept = {name: keep(inputs, device, lists) for name, inputs in splits.items()}
        self._batch = batch
        gib = data(splits.values(), lists)[0] / 2**30
        return kept, f"{names} kept on the device: {gib:.3g} GiB"

    def _why_sent(self, network: Network, splits: Mapping[str, Input], batch: int) -> str | None:
        """Why the splits are not kept; None if they are."""
        from fdi.engine.cuda.choice import hears_events
        from fdi.engine.cuda.memory import data, need

        lists = hears_events(network, self.kernels)
        stay, most = (n / 2**30 for n in data(splits.values(), lists))
        one = need(network, max((x.steps for x in splits.values()), default=0)) / 2**30
        step = one * (2 * batch if self.graphs else min(batch, math.floor(self.memory / one)))
        if max(stay + step, most) <= self.memory:
            return None
        needs = f"{stay:.3g} GiB beside a step of {step:.3g}, or {most:.3g} while they are sorted,"
        return f"{needs} are more than engine.memory = {self.memory:g} GiB"

    def _refuse_graphs(self, network: Network, splits: Mapping[str, Input], batch: int) -> None:
        """ValueError if steps on "train" of `splits` cannot be captured."""
        from fdi.data.inputs import Events
        from fdi.engine.cuda.choice import hears_events

        dense = not hears_events(network, self.kernels)
        refused = {
            "it needs a GPU of NVIDIA": network.projections[0].weight.device.type not in CAPTURING,
            "normalization is left to autograd": bool(network.norms),
            "train is transformed on the CPU": "train" not in splits,
            "plain torch lays out events, of which each batch has another number": dense
            and isinstance(splits.get("train"), Events),
        }
        why = next((why for why, holds in refused.items() if holds), None)
        if why := why or self._why_sent(network, splits, batch):
            raise ValueError(f"engine.graphs=true does not work here: {why}; leave it out")

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

    def measuring(self, inputs: Input) -> Callable[[Network], Activity]:
        from fdi.engine.reference import ReferenceEngine

        return ReferenceEngine().measuring(inputs)

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
        from fdi.engine.cuda.graph import Graph, adjoint
        from fdi.engine.cuda.kept import Kept
        from fdi.engine.device import outcome, targets

        self.check(network)
        check_input(network, inputs)
        check_labels(network, inputs, labels)
        batch = len(labels)
        if self.graphs and isinstance(inputs, Kept) and batch == self._batch:
            reads = (id(network), id(inputs.whole), objective)  # which the graph keeps alive
            if self._ready == reads:
                if self._graph is None:
                    self._graph = Graph(network, inputs, labels, objective, self.kernels)
                return self._graph.step(network, inputs, labels)
            self._graph, self._ready = None, reads
        network.zero_grad(set_to_none=True)
        self._refuse_parts(network, self._samples(network, inputs.steps, batch), batch)
        weight = network.projections[0].weight
        parts = ((inputs[p], targets(labels[p], weight)) for p in self._parts(network, inputs))
        found = (outcome(*adjoint(network, *p, objective, batch, self.kernels)) for p in parts)
        total = reduce(add, found)
        for weight in network.parameters():
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        return total

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
