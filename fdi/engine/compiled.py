"""What of a configuration the compiled engine leaves to autograd."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fdi.config.parts import resolve, spelt

_NORMS = ("none", "tdbn", "bntt", "layer")  # others are a user's own


def by_autograd(values: Mapping[str, Any]) -> str | None:
    """What in a configuration no other backward pass knows, None if nothing: bias, dropout, spikes
    that are heard or reset at once, a normalization or a surrogate of the user's own, neurons and
    learned time constants where nothing is derived from a description, and beside normalization
    other losses than cross-entropy of one class.
    """
    model = values.get("model")
    norm = model.get("norm", "none") if isinstance(model, Mapping) else "none"
    if norm not in _NORMS:
        return f"model.norm={norm}"
    return (_loss(values) if norm != "none" else None) or _network(values)


def _loss(values: Mapping[str, Any]) -> str | None:
    """The same of the loss, beside normalization."""
    objective, trainer = values.get("objective") or {}, values.get("trainer") or {}
    target = str(objective.get("_target_", ".CrossEntropy"))
    if not target.endswith(".CrossEntropy"):
        return f"objective={target}"
    if trainer.get("class_weights"):
        return "trainer.class_weights"
    return "trainer.readout=every" if trainer.get("readout") == "every" else None


def _network(values: Mapping[str, Any]) -> str | None:
    """The same of model and neuron."""
    neuron, model = values.get("neuron"), values.get("model")
    for key, neutral in (("bias", False), ("dropout", 0), ("delay", 2)):
        if isinstance(model, Mapping) and model.get(key, neutral) != neutral:
            return f"model.{key}={spelt(model[key])}"
    if not isinstance(neuron, Mapping):
        return None
    if neuron.get("reset") == "at_once":
        return "neuron.reset=at_once"
    target, surrogate = (str(neuron.get(key)) for key in ("_target_", "surrogate"))
    known, learns = _derived(target, values)
    if neuron.get("learn_tau") is True and not learns:
        return "neuron.learn_tau=true"
    return target if not known else surrogate if "." in surrogate else None


def _derived(target: str, values: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether the way back of a neuron can be derived from its description, and that of tau_mem."""
    from fdi.engine.derived import derived

    folders = [Path(each) for each in (values.get("paths") or {}).get("modules") or ()]
    try:
        made = resolve("neuron", target, folders)
        return True, derived(getattr(made, "kind", made)).learns
    except (ValueError, AttributeError):  # what is wrong with it is said elsewhere
        return target.startswith("fdi."), False
