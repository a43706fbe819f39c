"""Whether a part keeps what its users count on, for tests of one's own: `check` of a neuron, an
initialization, a data set or an engine raises AssertionError with one line where it does not.
"""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fdi.engine import Engine
    from fdi.init import Strategy
    from fdi.snn.neuron import Neuron

__all__ = ["check"]


def check(part: Neuron | Strategy | Engine | Any, engine: Engine | None = None) -> None:
    """`part`: an object, or a class or function that makes one without arguments; for a data set,
    a function of the `seed` of a run alone.

    A neuron: each number that it takes, and what a neuron has in any case, changes what it
    computes; its step has the gradients of finite differences in float64, and the code that is
    derived from its description those of its step, unless the kind has no description; pickled it
    is the same; with an `engine`, trials and gradients of networks of it are those of autograd to
    1e-9, or refused. An initialization: equal seeds draw equal weights and other seeds others, in
    all that it draws, finite and of their sign. A data set: equal seeds give equal data and
    batches, other seeds the same test set; batches have its shape and steps, the labels of their
    samples, finite numbers, and no negative spikes. An engine: the same as for neurons, for each
    kind that fdi has.
    """
    from fdi.engine import Engine
    from fdi.init import Strategy
    from fdi.snn.neuron import KINDS, Neuron
    from fdi.testing.neurons import check_neuron
    from fdi.testing.parts import check_dataset, check_engine, check_init

    if not isinstance(part, Neuron | Strategy | Engine) and "seed" in signature(part).parameters:
        check_dataset(part)
        return
    made = part if isinstance(part, Neuron | Strategy | Engine) else part()
    if isinstance(made, Neuron):
        check_neuron(made)
        if engine is not None:
            check_engine(engine, made)
    elif isinstance(made, Strategy):
        check_init(made)
    elif isinstance(made, Engine):
        for kind in KINDS.values():
            check_engine(made, kind())
    else:
        what = "a neuron, an initialization, an engine or a function that makes a data set"
        raise TypeError(f"check takes {what}, not {made!r:.80}")
