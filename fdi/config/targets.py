"""What a `_target_` of a configuration may name: what is made for that key in fdi and torch.optim,
and the functions and classes of modules in the user's own folders. Nothing else is ever called.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fdi.config.signatures import Kind, defined, parameters

PACKAGE = Path(__file__).parents[1]
OURS = ("fdi", "torch")  # packages whose modules are never the user's own
STUBS = {"torch.optim": PACKAGE / "train" / "torch_optim.py"}


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
    "logger.mirror": Role(
        ("fdi.track.tensorboard_mirror", "fdi.track.wandb_mirror"),
    ),
}


def options(
    key: str, target: str, folders: Sequence[Path]
) -> tuple[dict[str, list[Kind]] | None, str | None]:
    """The keyword arguments of `target` (None: not known), and what is wrong with it as the
    `_target_` of `key`, or None; nothing is imported.

    `folders`: where modules of the user's own may be.
    """
    module, _, name = target.rpartition(".")
    if module.partition(".")[0] not in OURS:
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


def code(target: str, folders: Sequence[Path]) -> str | None:
    """16 hex digits of a hash over the user's own modules that `target` needs: the one it is in and
    those imported there, without comments; None for what is not the user's. Raises ValueError for
    one that cannot be read.
    """
    waiting, found = [target.rpartition(".")[0]], {}
    while waiting:
        module = waiting.pop()
        if module in found or module.partition(".")[0] in OURS:
            continue
        for file in _files(module, folders)[:1]:
            try:
                tree = ast.parse(file.read_text(encoding="utf-8"))
            except SyntaxError as error:
                raise ValueError(_unreadable(file, error)) from None
            found[module] = ast.unparse(tree)
            package = module if file.stem == "__init__" else module.rpartition(".")[0]
            waiting += _imports(tree, package)
    text = "\0".join(f"{module}\0{found[module]}" for module in sorted(found))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest() if found else None


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    """What may be the names of modules imported anywhere in a module of `package`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = f"{above}.{node.module or ''}".strip(".")
            yield from (base, *(f"{base}.{alias.name}".strip(".") for alias in node.names))


def _files(module: str, folders: Sequence[Path]) -> list[Path]:
    """The files of the user's own that `module` may be in."""
    path = Path(*module.split("."))
    return [
        file
        for folder in folders
        for file in (folder / path.with_suffix(".py"), folder / path / "__init__.py")
        if file.is_file()
    ]


def _foreign(module: str, name: str, folders: Sequence[Path]) -> str | None:
    where = "the folder of --config-dir or beside it"
    if not module:
        return f"is not a module and a name; write module.name, the module in {where}"
    files = _files(module, folders)
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
        return _unreadable(files[0], error)
    if not isinstance(definitions.get(name), ast.FunctionDef | ast.ClassDef):
        return f"does not exist: {files[0]} defines no function or class {name}"
    return None


def _unreadable(file: Path, error: SyntaxError) -> str:
    return f"cannot be read: {file}, line {error.lineno}: {error.msg}"
