"""What a `_target_` of a configuration may name: what is made for that key in fdi and torch.optim,
and the functions and classes of modules in the user's own folders. Nothing else is ever called.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fdi.config import own_modules
from fdi.config.signatures import Alternative, parameters
from fdi.config.wording import choose

TORCH, TORCH_OPTIONS = "torch.optim", "fdi.train.optimizers.TorchOptions"
SCHEDULES, SCHEDULE_OPTIONS = "torch.optim.lr_scheduler", "fdi.train.torch_schedules"
NOT_MADE = "is not made for {key}; look at the other options of {key}"


class Role(NamedTuple):
    """Where the parts for a key are: functions that return `noun`, and classes that inherit from
    it. Importing them imports no torch.
    """

    room: str
    noun: str


ROLES = {
    "dataset": Role("fdi.data", "Dataset"),
    "model": Role("fdi.snn.models", "Network"),
    "neuron": Role("fdi.snn.neuron", "Neuron"),
    "init": Role("fdi.init", "Strategy"),
    "optimizer": Role("fdi.train.optimizers", "Optimizer"),
    "scheduler": Role(SCHEDULES, "LRScheduler"),
    "logger.mirror": Role("fdi.track", "Iterator[Mirror]"),
}
OPTIONAL = ("scheduler",)  # keys that may be null
SURROGATE = "neuron.surrogate"  # the name of one, or of a function of the user's own


class Options(NamedTuple):
    """The keyword arguments of a part, as far as they are `known`; `closed`: it takes no others."""

    known: dict[str, list[Alternative]]
    closed: bool


def options(key: str, target: str, folders: Sequence[Path]) -> Options:
    """What `target`, the `_target_` of `key`, takes; torch and the user's own modules are not
    imported for it.

    `folders`: where modules of the user's own may be. Raises ValueError for what may not be named
    there.
    """
    module, _, name = target.rpartition(".")
    part, closed, problem = None, False, None
    if module.partition(".")[0] not in own_modules.OURS:
        problem = _foreign(module, name, folders)
    elif key == SURROGATE:
        problem = "is no function of your own; see fdi/snn/surrogate.py"
    elif key == "optimizer" and module == TORCH:
        part = _ours(TORCH_OPTIONS)
    elif key == "scheduler" and module == SCHEDULES:
        part, closed = vars(importlib.import_module(SCHEDULE_OPTIONS)).get(name), True
        problem = None if part else NOT_MADE
    else:
        (part, problem), closed = _part(ROLES[key], target), True
    if problem:
        where = key if key == SURROGATE else f"{key}._target_"
        raise ValueError(f"{where} = {target} {problem.format(key=key)}")
    return Options(parameters(part) if part else {}, closed)


def _part(role: Role, target: str) -> tuple[Any, str | None]:
    """The function or class, and why it is none for `role`, or None."""
    module, _, name = target.rpartition(".")
    if not f"{module}.".startswith(f"{role.room}.") or name.startswith("_"):
        return None, NOT_MADE
    try:
        part = _ours(target)
    except (ImportError, AttributeError):
        return None, "does not exist"
    if isinstance(part, type):
        nouns = [] if inspect.isabstract(part) else [base.__name__ for base in part.__mro__]
    else:
        nouns = [inspect.signature(part).return_annotation]
    return part, None if role.noun in nouns else NOT_MADE


def _ours(target: str) -> Any:
    """The function or class that `target` names in fdi, where it is defined. Raises ImportError or
    AttributeError.
    """
    module, _, name = target.rpartition(".")
    part = getattr(importlib.import_module(module), name)
    if getattr(part, "__module__", None) != module:
        raise AttributeError(target)
    return part


def resolve(key: str, target: str, folders: Sequence[Path]) -> Callable[..., Any]:
    """The function or class that `target` names. Raises ValueError for one that may not be named
    there.
    """
    options(key, target, folders)
    sys.path.extend(str(folder) for folder in folders if str(folder) not in sys.path)
    module, _, name = target.rpartition(".")
    parts = vars(importlib.import_module(module))
    if module == TORCH:
        parts = {name: part for name, part in parts.items() if isinstance(part, type)}
    if name not in parts:
        raise ValueError(f"{key}._target_: {module} has no {name}; {choose(name, parts)}")
    return parts[name]


def _foreign(module: str, name: str, folders: Sequence[Path]) -> str | None:
    where = "the folder of --config-dir or beside it"
    if not module:
        return f"is not a module and a name; write module.name, the module in {where}"
    files = own_modules.files(module, folders)
    if not files:
        path = module.replace(".", "/")
        return f"is not of fdi, and there is no {path}.py; put it into {where}"
    top = module.partition(".")[0]
    if (spec := importlib.util.find_spec(top)) is not None:
        places = [*(spec.submodule_search_locations or []), spec.origin or ""]
        if not any(Path(place).is_relative_to(folder) for place in places for folder in folders):
            return f"is hidden by another module of that name ({spec.origin}); rename {top}"
    try:
        body = ast.parse(files[0].read_text(encoding="utf-8")).body
    except SyntaxError as error:
        return own_modules.unreadable(files[0], error)
    if name not in (n.name for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef)):
        return f"does not exist: {files[0]} defines no function or class {name}"
    return None
