"""Whether a part keeps what its users count on, for tests of one's own: `check` of a neuron, an
initialization or an engine raises AssertionError with one line where it does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fdi.engine import Engine
    from fdi.init import Strategy
    from fdi.snn.neuron import Neuron

__all__ = ["check"]


def check(part: Neuron | Strategy | Engine | Any, engine: Engine | None = None) -> None:
    """`part`: an object, or a class or function that makes one without arguments.

    A neuron: each field of its own, and what a neuron has in any case, changes the numbers; its
    step has the gradients of finite differences in float64, and the code that is derived from its
    description those of its step, unless the kind has no description; pickled it is the same; with
    an `engine`, trials and gradients of networks of it are those of autograd to 1e-9, or refused.
    An initialization: equal seeds draw equal weights and other seeds others, in all that it draws,
    finite and of their sign. An engine: the same as for neurons, for each kind that fdi has.
    """
    from fdi.engine import Engine
    from fdi.init import Strategy
    from fdi.snn.neuron import KINDS, Neuron
    from fdi.testing import engines, inits, neurons

    made = part if isinstance(part, Neuron | Strategy | Engine) else part()
    if isinstance(made, Neuron):
        neurons.check(made)
        if engine is not None:
            engines.check(engine, made)
    elif isinstance(made, Strategy):
        inits.check(made)
    elif isinstance(made, Engine):
        for kind in KINDS.values():
            engines.check(made, kind())
    else:
        raise TypeError(f"check takes a neuron, an initialization or an engine, not {made!r:.80}")
