"""How far training moved a network from its initial state: little where it is lazy (Chizat et al.
2019), much where it learns new representations.
"""

from __future__ import annotations

from torch import Tensor

from fdi.data.inputs import Input
from fdi.engine import Engine
from fdi.snn.network import Network


def change(
    network: Network, initial: Network, engine: Engine, inputs: Input
) -> dict[str, dict[str, float | None]]:
    """`moved`, of each projection by its name, and `alignment`, of each hidden population:

        moved = |W - W0| / |W0|
        alignment = |Y0' Y|^2 / (|Y0' Y0| |Y' Y|)

    with Frobenius norms, and Y [B, units] the spike counts of `inputs` without their mean over the
    B samples: the linear kernel alignment (CKA, Kornblith et al. 2019), 1 for equal
    representations. None where W0 is zero, or where counts do not differ between samples.
    """
    before, after = initial.weights(), network.weights()
    counts = [engine.simulate(net, inputs).counts for net in (initial, network)]
    return {
        "moved": {
            name: _moved(before[name].cpu(), after[name].cpu())
            for name in (projection.name for projection in network.projections)
        },
        "alignment": {name: alignment(counts[0][name], counts[1][name]) for name in counts[0]},
    }


def alignment(before: Tensor, after: Tensor) -> float | None:
    """The linear kernel alignment of two arrays [B, ...] of the same samples."""
    first, second = (_centred(counts) for counts in (before, after))
    kernels = [samples @ samples.T for samples in (first, second)]
    norms = [float(kernel.norm()) for kernel in kernels]
    if not all(norms):
        return None
    return float((kernels[0] * kernels[1]).sum()) / (norms[0] * norms[1])


def _centred(counts: Tensor) -> Tensor:
    flat = counts.detach().cpu().flatten(1).double()
    return flat - flat.mean(0)


def _moved(before: Tensor, after: Tensor) -> float | None:
    norm = float(before.double().norm())
    return float((after.double() - before.double()).norm()) / norm if norm else None
