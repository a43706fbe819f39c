"""What a `_target_` of a configuration may name: what is made for that key in fdi and torch.optim,
and the functions and classes of modules in the user's own folders. Nothing else is ever called.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fdi.config import own_modules
from fdi.config.signatures import Kind, defined, parameters

PACKAGE = Path(__file__).parents[1]
STUBS = {
    "torch.optim": PACKAGE / "train" / "torch_optim.py",
    "torch.optim.lr_scheduler": PACKAGE / "train" / "torch_schedules.py",
}


class Role(NamedTuple):
    """Where the functions (that return `noun`) or classes for a key are."""

    rooms: tuple[str, ...]
    noun: str | None = None


ROLES = {
    "dataset": Role(("fdi.data",), "Dataset"),
    "model": Role(("fdi.snn",), "Network"),
    "neuron": Role(("fdi.snn",), "Neuron"),
    "init": Role(("fdi.init",)),
    "optimizer": Role(("fdi.train.optimizers", "torch.optim")),
    "scheduler": Role(("torch.optim.lr_scheduler",)),
    "logger.mirror": Role(
        ("fdi.track.tensorboard_mirror", "fdi.track.wandb_mirror"),
    ),
}
OPTIONAL = ("scheduler",)  # keys that may be null


def options(
    key: str, target: str, folders: Sequence[Path]
) -> tuple[dict[str, list[Kind]] | None, str | None]:
    """The keyword arguments of `target` (None: not known), and what is wrong with it as the
    `_target_` of `key`, or None; nothing is imported.

    `folders`: where modules of the user's own may be.
    """
    module, _, name = target.rpartition(".")
    if module.partition(".")[0] not in own_modules.OURS:
        return None, _foreign(module, name, folders)
    role = ROLES[key]
    file = STUBS.get(module) or PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py")
    node = defined(file).get(name)
    if not isinstance(node, ast.FunctionDef | ast.ClassDef):
        return None, "does not exist"
    noun = ast.unparse(node.returns) if isinstance(node, ast.FunctionDef) and node.returns else None
    inside = any(f"{module}.".startswith(f"{room}.") for room in role.rooms)
    if not inside or name.startswith("_") or (role.noun and noun != role.noun):
        return None, f"is not made for {key}; look at the other options of {key}"
    return parameters(file, name), None


def resolve(key: str, target: str, folders: Sequence[Path]) -> Callable[..., Any]:
    """The function or class that `target` names. Raises ValueError for one that may not be named
    there.
    """
    if problem := options(key, target, folders)[1]:
        raise ValueError(f"{key}._target_ = {target} {problem}")
    sys.path.extend(str(folder) for folder in folders if str(folder) not in sys.path)
    module, _, name = target.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _foreign(module: str, name: str, folders: Sequence[Path]) -> str | None:
    where = "the folder of --config-dir or beside it"
    if not module:
        return f"is not a module and a name; write module.name, the module in {where}"
    files = own_modules.files(module, folders)
    if not files:
        path = module.replace(".", "/")
        return f"is not of fdi, and there is no {path}.py; put it into {where}"
    top = module.partition(".")[0]
    found = importlib.util.find_spec(top)
    elsewhere = [*(found.submodule_search_locations or []), found.origin] if found else []
    if elsewhere and not any(
        Path(place or "").is_relative_to(folder) for place in elsewhere for folder in folders
    ):
        return f"is hidden by another module of that name ({found.origin}); rename {top}"
    try:
        definitions = defined(files[0])
    except SyntaxError as error:
        return own_modules.unreadable(files[0], error)
    if not isinstance(definitions.get(name), ast.FunctionDef | ast.ClassDef):
        return f"does not exist: {files[0]} defines no function or class {name}"
    return None
