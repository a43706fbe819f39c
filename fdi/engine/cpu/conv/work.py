"""Scratch memory of one thread for the maps of one sample."""

from __future__ import annotations

from fdi.engine.cpu.conv.plan import ConvPlan
from fdi.engine.cpu.conv.winograd import EDGE, PRODUCTS, TOGETHER
from fdi.engine.cpu.kernels.rows import LANES


def shapes(plan: ConvPlan, steps: int, span: int, gradients: bool) -> dict[str, tuple[int, ...]]:
    """As dense.work.shapes.

    `above`: gradient of the pooled spikes, from two steps before the window on; `starts`: where the
    weights of spikes begin; `begins`: spikes before a position; `sorted`: spikes by channel and
    phase; `tiles`: see conv.tiles; `map_pull`: gradient of the bounds, `pulls`: the same and that
    through the layer's own links.
    """
    layers, links = plan.layers, plan.links
    sums = {name: int(layers[name].sum()) for name in layers.dtype.names or ()}
    size, guarded = int(layers["size"].max()), int(layers["guarded"].max())
    units = int((layers["channels"] * layers["height"] * layers["width"]).sum())
    wide = -(-links["source_width"] // EDGE)
    products = -(-TOGETHER // wide) * wide * (links["padded"] + links["columns"]) + 2 * LANES
    kinds = (links["high"] - links["low"]) * links["phases"]
    positions = links["source_height"] * links["source_width"]
    room, windows = units * -(-steps // plan.gap), -(-steps // span) if gradients else 1
    adjoints = plan.channels * int((layers["ring"] * layers["guarded"]).sum())
    state, kept = 1 + plan.states, plan.channels * sums["guarded"]
    return dict(
        map_saved=(windows * (state * sums["size"] + kept),),
        map_potentials=((span + 1) * sums["size"],),
        above=((span + 2) * sums["pooled"] * gradients,),
        map_spike_indptr=(len(layers), steps + 1),
        map_spikes=(room + len(layers) * LANES,),
        pooled_indptr=(len(layers), steps + 1),
        pooled=(room + len(layers) * LANES,),
        starts=(int((layers["height"] * layers["width"] << layers["shift"]).max()),),
        begins=(int(positions.max()) + 1,),
        sorted_number=(int(kinds.max()),),
        sorted=(int((kinds * positions).max()) * gradients,),
        tiles=(PRODUCTS * int((products * (links["tiles"] > 0)).max()) * gradients,),
        maps=(plan.channels * guarded + plan.states * size,),
        map_adjoints=(adjoints * gradients,),
        map_pull=(size,),
        pulls=(size,),
        map_gu=(state * sums["size"] * gradients,),
        map_leak=(2, int(layers["pooled"][-1]) * gradients),
    )
