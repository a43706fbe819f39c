"""Values that fit their types and mean nothing: other units than seconds and Hz, most often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

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
