"""The ranges of numbers in a configuration, as annotations of keyword arguments.

fdi.config.settings reads them from the function that a `_target_` names, before it is called:
`def lif(*, tau_mem: TimeConstant)` refuses `neuron.tau_mem=-1`. No float of a
configuration may be infinite or nan, whatever its annotation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from typing import Annotated, Any


@dataclass(frozen=True)
class Range:
    """least <= value <= most and above < value < below, as far as they are given."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        named = zip(("at least", "at most", "above", "below"), astuple(self))
        return " and ".join(f"{word} {bound:g}" for word, bound in named if bound is not None)


class _Name:
    """Names of one's own functions, in a module beside --config-dir."""

    def __contains__(self, value: str) -> bool:
        return all(name.isidentifier() for name in value.split(".")) and "." in value

    def __str__(self) -> str:
        return "of the form module.name"


OwnName = Annotated[str, _Name()]
Count = Annotated[int, Range(least=1)]
Layers = Annotated[int, Range(least=1, most=1000)]
Index = Annotated[int, Range(least=0)]  # also a number of things that may be none
Positive = Annotated[float, Range(above=0)]
NotNegative = Annotated[float, Range(least=0)]
AboveMinusOne = Annotated[float, Range(above=-1)]
Share = Annotated[float, Range(least=0, below=1)]  # of which something is left
Fraction = Annotated[float, Range(above=0, below=1)]
UpToOne = Annotated[float, Range(least=0, most=1)]
TimeStep = Annotated[float, Range(least=1e-6, most=1)]  # s
TimeConstant = Annotated[float, Range(least=1e-6, most=1e3)]  # s
Duration = Annotated[float, Range(least=1e-6, most=1e3)]  # s


LONGEST_TAU = 1.0  # s; those of neurons and synapses are thousandths of it


def nonsense(values: Mapping[str, Any]) -> Iterator[str]:
    """Complaints about time constants given in milliseconds, and rates above one spike a step."""
    for part in ("neuron", "model"):
        for key, value in values[part].items():
            if "tau_" in str(key) and key != "tau_shape" and _number(value) > LONGEST_TAU:
                yield seconds(f"{part}.{key}", value)
    dataset, nu = values["dataset"], values["init"].get("nu")
    if not (dt := _number(dataset.get("dt"))) or dataset.get("binning") == "counts":
        return
    for source, rate in nu.items() if isinstance(nu, Mapping) else [("", nu)]:
        if _number(rate) * dt > 1:
            key = f"init.nu.{source}" if source else "init.nu"
            yield (
                f"{key} = {rate} Hz is more than one spike in a step of dataset.dt = {dt} s; at "
                f"most {1 / dt:g}"
            )


def seconds(name: str, tau: float) -> str:
    """What is said of a time constant above LONGEST_TAU."""
    return (
        f"{name} = {tau} is in seconds, and at most {LONGEST_TAU:g}; did you mean {tau / 1000:g}?"
    )


def _number(value: Any) -> float:
    """0 for what is none."""
    return value if isinstance(value, int | float) else 0
