"""JAX: a scan over time, compiled with the gradient and Adam as one function, in which a step costs
no call from Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmark.libraries.tools import Learner
from benchmark.workloads import ALPHA, BETA, LR, SLOPE, network
from fdi.data.inputs import Events


class JaxLearner(Learner):
    """`forward`: parameters and [T, B, N] -> readout [T, B, classes]."""

    def __init__(self, work: dict, parameters: Any, forward: Callable[..., Any]) -> None:
        import jax
        import optax

        optimizer = optax.adam(work.get("lr", LR))
        self.parameters, self.state = parameters, optimizer.init(parameters)
        self.forward = jax.jit(forward)

        def loss(parameters: Any, x: Any, labels: Any) -> Any:
            scores = forward(parameters, x).max(0)
            return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()

        def step(parameters: Any, state: Any, x: Any, labels: Any) -> tuple[Any, Any, Any]:
            value, gradients = jax.value_and_grad(loss)(parameters, x, labels)
            updates, state = optimizer.update(gradients, state, parameters)
            return optax.apply_updates(parameters, updates), state, value

        self.compiled = jax.jit(step, donate_argnums=(0, 1))

    def put(self, x: Events, labels: np.ndarray) -> tuple[Any, Any]:
        import jax.numpy as jnp

        return jnp.asarray(x.dense()), jnp.asarray(labels)

    def step(self, batch: tuple[Any, Any]) -> float:
        self.parameters, self.state, loss = self.compiled(self.parameters, self.state, *batch)
        return float(loss)

    def correct(self, batch: tuple[Any, Any]) -> int:
        x, labels = batch
        return int((self.forward(self.parameters, x).max(0).argmax(1) == labels).sum())


def arrays(work: dict) -> dict[str, Any]:
    """The weights that fdi draws, [in, out], by the name of the projection."""
    import jax.numpy as jnp

    drawn = network(work).projections
    return {p.name: jnp.asarray(p.weight.detach().numpy().T) for p in drawn}


def hoisted(work: dict) -> JaxLearner:
    """The product with the input of all steps before the scan, of which four steps are one: where
    they are no multiple of it, JAX 0.10.2 gives another gradient.
    """
    return build(work, before=True, unroll=1 if work["steps"] % 4 else 4)


def build(work: dict, before: bool = False, unroll: int = 1) -> JaxLearner:
    import jax
    import jax.numpy as jnp

    @jax.custom_jvp
    def spike(u: Any) -> Any:
        return (u > 1).astype(u.dtype)

    @spike.defjvp
    def surrogate(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
        ((u,), (du,)) = primals, tangents
        return spike(u), du / (1 + SLOPE * jnp.abs(u - 1)) ** 2

    names, slow = [f"h{i + 1}" for i in range(len(work["sizes"]))], math.exp(-1 / work["steps"])

    def forward(weights: dict[str, Any], x: Any) -> Any:
        def one(states: list[Any], s: Any) -> tuple[list[Any], Any]:
            below, after = "input", []
            for name, (u, i, last) in zip(names, states):
                known = before and below == "input"
                current = s if known else s @ weights[f"{below}->{name}"]
                if work.get("recurrent"):
                    current += last @ weights[f"{name}->{name}"]
                i = ALPHA * i + current
                u = (BETA * u + (1 - BETA) * i) * (1 - jax.lax.stop_gradient(last))
                s, below = spike(u), name
                after.append((u, i, s))
            u, i = states[-1]
            i = ALPHA * i + s @ weights[f"{below}->readout"]
            u = slow * u + (1 - slow) * i
            return [*after, (u, i)], u

        def zeros(n: int, several: int) -> tuple[Any, ...]:
            return tuple(jnp.zeros((x.shape[1], n)) for _ in range(several))

        classes = weights[f"{names[-1]}->readout"].shape[1]
        first = [*(zeros(n, 3) for n in work["sizes"]), zeros(classes, 2)]
        x = x @ weights["input->h1"] if before else x
        return jax.lax.scan(one, first, x, unroll=unroll)[1]

    return JaxLearner(work, arrays(work), forward)


def spyx(work: dict) -> JaxLearner:
    """Cells of Spyx, which subtract the threshold at a spike; its readout has no synapse."""
    from flax import nnx
    from spyx import axn, nn

    surrogate, drawn = axn.superspike(SLOPE), arrays(work)
    rngs, below, layers = nnx.Rngs(0), work["shape"][0], []
    slow = math.exp(-1 / work["steps"])
    names = [name for name in drawn if name.split("->")[0] != name.split("->")[1]]
    cell = nn.RCuBaLIF if work.get("recurrent") else nn.CuBaLIF
    for n in work["sizes"]:
        layers.append(nnx.Linear(below, n, use_bias=False, rngs=rngs))
        layers.append(cell((n,), ALPHA, BETA, activation=surrogate, rngs=rngs))
        below = n
    classes = drawn[names[-1]].shape[1]
    layers.append(nnx.Linear(below, classes, use_bias=False, rngs=rngs))
    layers.append(nn.LI((classes,), slow, rngs=rngs))
    for layer, name in zip(layers[::2], names, strict=True):
        layer.kernel[...] = (1 - BETA) * drawn[name]
    layers[-2].kernel[...] = (1 - slow) / (1 - ALPHA) * drawn[names[-1]]
    for layer, name in zip(layers[1::2], (name for name in drawn if name not in names)):
        layer.recurrent_w[...] = (1 - BETA) * drawn[name]

    def weights(path: tuple, _: Any) -> bool:
        return path[-1] in ("kernel", "recurrent_w")

    graph, parameters, rest = nnx.split(nn.Sequential(*layers), weights, ...)

    def forward(parameters: Any, x: Any) -> Any:
        return nn.run(nnx.merge(graph, parameters, rest), x.astype("float32"))[0]

    return JaxLearner(work, parameters, forward)
