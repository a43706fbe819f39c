"""Faults put into the sources of the kernels, one at a time, and what finds each: `python
mutants.py --out results/reference/mutants.csv`, which goes on with those that are not in the file.
Where it says "nothing" of one that changes no number, write "equivalent: " and why instead.

A mutant is the source with one change: of a loop over blocks only the first turn is left, a mask
lets everything through, an index loses a term, the second block repeats the first, the list of
samples is not read, a sum forgets what was before. It computes the trial of trial.py in Triton's
interpreter, with blocks that divide the trial as the blocks of a GPU divide the whole one, and with
each address compared with the tensors of the launch, as compute-sanitizer does on a GPU.
"""

from __future__ import annotations

import argparse
import ast
import copy
import csv
import multiprocessing
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

os.environ.setdefault("TRITON_INTERPRET", "1")

import torch
from needs import loaded
from torch.utils._pytree import tree_map

from fdi.engine.cuda import choice, trial
from fdi.engine.cuda.kernels import launch, launch_sparse, scan, sparse

CPU = torch.device("cpu")
LONGEST = 600  # s
FEED, RECURRENT = (
    (choice.Case(1, "zero", "superspike", 0), choice.Case(2, "subtract", "superspike", 0)),
    (choice.Case(2, "zero", "superspike", 20), choice.Case(1, "zero", "superspike", 20)),
)
BOXCAR = (choice.Case(1, "zero", "boxcar", 0),)
SIZES: dict[Any, dict[str, Any]] = {
    trial: dict(STEPS=9, BATCH=3, UNITS=14, DENSITY=0.6),
    launch: dict(BLOCK=32, CHUNK=16, PROGRAMS=2, HELD=2),
    launch_sparse: dict(
        ROWS=16, TARGETS=8, LOOKED=8, SOURCES=8, SAMPLES=2, STEPS=4, BLOCK=32, PROGRAMS=16
    ),
}
"""Two blocks of everything, the second not full: fewer than on a GPU, where the trial is 300 units,
70 samples and 40 steps in blocks of 128, 32 and 16.
"""
OPERATORS = {
    launch: {
        "forward": {"places", "deliver", "updated", "forward"},
        "backward": {"slope", "retreat", "places", "deliver", "backward"},
    },
    launch_sparse: {name: {name} for name in ("by_events", "by_spikes", "when", "gradient")},
}
"""The kernels of each: what has no fault is computed once."""
MASKS = {"wanted", "inside", "both", "here", "arrives", "arrived"}
INDICES = {
    "at", "own", "event", "row", "k", "n", "b", "t", "before", "after", "source", "end", "place",
}  # fmt: skip
POINTERS = {
    "x", "w", "u", "s", "g", "counts", "units", "starts", "samples", "times", "spikes", "d_x",
    "d_seen", "d_counts", "at", "own", "before", "after",
}  # fmt: skip


EDGES: dict[type, type] = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.GtE: ast.Gt}


class Mutant(NamedTuple):
    """`fault`: what became of what; `source`: of the whole file, whose last function is the kernel
    with the fault.
    """

    kernel: str
    kind: str
    fault: str
    source: str


def mutants(file: Path) -> Iterator[Mutant]:
    """All of the kernels in a file."""
    whole = file.read_text()
    for function in ast.parse(whole).body:
        if not isinstance(function, ast.FunctionDef):
            continue
        seen: Counter[str] = Counter()
        for kind, path, new in _faults(function):
            node: Any = (changed := copy.deepcopy(function))
            *way, last = path
            for step in way:
                node = node[step] if isinstance(step, int) else getattr(node, step)
            old = node[last] if isinstance(last, int) else getattr(node, last)
            if isinstance(last, int):
                node[last] = new
            else:
                setattr(node, last, new)
            fault = f"{_said(old)} -> {_said(new)}"
            seen[fault] += 1
            again = f" ({seen[fault]})" if seen[fault] > 1 else ""
            instead = ast.unparse(ast.fix_missing_locations(changed))
            source = f"{whole}\n\n{instead}\n"
            yield Mutant(f"{file.stem} {function.name}", kind, fault + again, source)


def _said(node: ast.AST) -> str:
    return ast.unparse(node).splitlines()[0]


def _faults(function: ast.FunctionDef) -> Iterator[tuple[str, list, ast.AST]]:
    """(kind, way to a node, what takes its place)."""
    yield from _of_blocks(function)
    yield from _of_addresses(function)


def _of_blocks(function: ast.FunctionDef) -> Iterator[tuple[str, list, ast.AST]]:
    for path, node in _walk(function, []):
        match node:
            case ast.For(iter=ast.Call(args=[first, _, step])):
                only: Any = copy.deepcopy(node)
                only.iter.args[1] = ast.BinOp(first, ast.Add(), step)
                yield "loop", path, only
            case ast.For(iter=ast.Call(args=[last])):
                shorter: Any = copy.deepcopy(node)
                shorter.iter.args[0] = ast.BinOp(last, ast.Sub(), ast.Constant(1))
                yield "step", path, shorter
            case ast.While():
                yield "loop", path, ast.If(node.test, node.body, [])
            case ast.AugAssign(op=ast.Add(), target=ast.Name(id=name)) if name != "event":
                yield "sum", path, ast.Assign([node.target], node.value, lineno=0)
            case ast.AugAssign(op=ast.Mult()):
                yield "counts", path, ast.Pass()
            case ast.Call(func=ast.Attribute(attr="dot")):
                fresh = copy.deepcopy(node)
                fresh.args[2] = ast.BinOp(fresh.args[2], ast.Mult(), ast.Constant(0.0))
                yield "sum", path, fresh
            case ast.If(test=ast.Compare(left=ast.Name(id="CHANNELS"))):
                yield "channel", [*path, "test"], ast.Constant(False)
            case ast.Call(func=ast.Attribute(attr="program_id")):
                yield "block", path, ast.BinOp(node, ast.Mult(), ast.Constant(0))
            case ast.Call(
                func=ast.Attribute(attr="load"),
                args=[ast.BinOp(left=ast.Name(id="samples"), right=row)],
            ):
                yield "samples", path, row


def _of_addresses(function: ast.FunctionDef) -> Iterator[tuple[str, list, ast.AST]]:
    for path, node in _walk(function, []):
        match node:
            case ast.Call(func=ast.Attribute(attr="load" | "store")):
                for i, keyword in enumerate(node.keywords):
                    if keyword.arg == "mask":
                        yield from _open(keyword.value, [*path, "keywords", i, "value"])
                yield from _shorter(node.args[0], [*path, "args", 0])
            case ast.Call(func=ast.Attribute(attr="where"), args=[ast.Compare(), *_]):
                yield from _open(node.args[0], [*path, "args", 0])
            case ast.Call(func=ast.Attribute(attr="minimum"), args=[_, unbounded]):
                yield "mask", path, unbounded
            case ast.Call(func=ast.Name(id="deliver")):
                for i in (0, 1):
                    yield from _shorter(node.args[i], [*path, "args", i])
            case ast.If(test=ast.BoolOp(values=[_, test])):
                yield from _open(test, [*path, "test", "values", 1])
            case ast.If(test=ast.BinOp() as test):
                yield from _open(test, [*path, "test"])
            case ast.Assign(targets=[ast.Name(id=name)]) if name in MASKS:
                yield from _open(node.value, [*path, "value"])
            case ast.Assign(targets=[ast.Name(id=name)]) if name in INDICES:
                yield from _shorter(node.value, [*path, "value"])


def _walk(node: object, path: list) -> Iterator[tuple[list, ast.AST]]:
    if isinstance(node, list):
        for i, each in enumerate(node):
            yield from _walk(each, [*path, i])
    elif isinstance(node, ast.AST):
        yield path, node
        for name, value in ast.iter_fields(node):
            if name not in ("decorator_list", "args") or not isinstance(node, ast.FunctionDef):
                yield from _walk(value, [*path, name])


def _open(node: ast.expr, path: list) -> Iterator[tuple[str, list, ast.AST]]:
    """Each condition of a mask, true everywhere, or for one more or less."""
    match node:
        case ast.BinOp(op=ast.BitAnd()):
            yield from _open(node.left, [*path, "left"])
            yield from _open(node.right, [*path, "right"])
        case ast.Subscript():
            yield from _open(node.value, [*path, "value"])
        case ast.Compare() | ast.Name():
            no = ast.Compare(node, [ast.Eq()], [ast.Constant(0)])
            yield "mask", path, ast.BinOp(node, ast.BitOr(), no)
            if isinstance(node, ast.Compare) and type(node.ops[0]) in EDGES and not _real(node):
                edge: ast.cmpop = EDGES[type(node.ops[0])]()
                yield "edge", path, ast.Compare(node.left, [edge], node.comparators)


def _real(node: ast.Compare) -> bool:
    """Whether numbers are compared that are equal in one of 2^24 cases."""
    return any(isinstance(x, ast.Constant) and isinstance(x.value, float) for x in node.comparators)


def _shorter(node: ast.expr, path: list) -> Iterator[tuple[str, list, ast.AST]]:
    """Each sum in an address, one of its terms 0."""
    for way, each in _walk(node, path):
        if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Add):
            for side in ("left", "right"):
                lost, without = getattr(each, side), copy.deepcopy(each)
                if not {n.id for n in ast.walk(lost) if isinstance(n, ast.Name)} & POINTERS:
                    setattr(without, side, ast.BinOp(lost, ast.Mult(), ast.Constant(0)))
                    yield "index", way, without


class Outside(Exception):
    """An address of no tensor."""


@contextmanager
def sanitized() -> Iterator[None]:
    """Each address that a kernel reads or writes lies in a tensor of its launch."""
    from triton.runtime import interpreter

    spans: list[tuple[int, int]] = []
    patched: set = set()  # functions for which the language is, in this launch: that takes a while
    first_call = interpreter.InterpretedFunction.__call__
    start, memory = interpreter.GridExecutor._init_args_hst, interpreter._interpreter

    def given(self, arguments, options):
        found = start(self, arguments, options)
        patched.clear()
        storages = [x.untyped_storage() for x in found[0] if isinstance(x, torch.Tensor)]
        spans[:] = [(s.data_ptr(), s.data_ptr() + s.nbytes()) for s in storages]
        return found

    def inside(addresses, mask) -> None:
        asked = addresses[mask]
        held = sum(((asked >= low) & (asked < high) for low, high in spans), asked != asked)
        if not held.all():
            raise Outside("an address of no tensor")

    def load(addresses, mask, *given):
        inside(addresses, mask)
        return memory.load(addresses, mask, *given)

    def store(addresses, value, mask):
        inside(addresses, mask)
        return memory.store(addresses, value, mask)

    def call(self, *arguments, **options):
        if self in patched:
            return self.rewrite()(*arguments, **options)
        patched.add(self)
        return first_call(self, *arguments, **options)

    with (
        patch.object(interpreter.InterpretedFunction, "__call__", call),
        patch.object(interpreter.GridExecutor, "_init_args_hst", given),
        patch.object(interpreter, "_interpreter", SimpleNamespace(load=load, store=store)),
    ):
        yield


def small() -> None:
    """The sizes of all that is tried, in this process."""
    for module, sizes in SIZES.items():
        vars(module).update(sizes)


def finds(mutant: Mutant) -> str:
    """What calls it wrong: the "trial", its "sanitizer", or "nothing"; in a process of its own,
    which it may take with it.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_tried, args=(mutant, theirs))
    process.start()
    theirs.close()
    try:
        found = ours.recv() if ours.poll(LONGEST) else "trial (hangs)"
    except EOFError:
        found = "trial (crashes)"
    process.kill()
    process.join()
    return found


def _tried(mutant: Mutant, answer) -> None:
    name, kernel = mutant.kernel.split()
    where = {"scan": (launch, "scan"), "sparse": (launch_sparse, "sparse")}[name]
    cases: tuple[choice.Case, ...] = (*FEED, *RECURRENT) if name == "scan" else FEED
    cases = {"deliver": RECURRENT, "slope": BOXCAR}.get(kernel, cases)
    answer.send(next(filter(None, (_wrong(mutant, where, case) for case in cases)), "nothing"))


def _wrong(mutant: Mutant, where: tuple[ModuleType, str], case: choice.Case) -> str | None:
    with tempfile.TemporaryDirectory() as folder, sanitized(), remembered(mutant):
        file = Path(folder) / "mutant.py"
        file.write_text(mutant.source)
        with patch.object(*where, loaded(file)):
            try:
                return "trial" if trial.check(case, CPU) else None
            except Exception as error:
                return (
                    "sanitizer" if "Outside" in repr(error) else f"trial ({type(error).__name__})"
                )


_known: dict[object, Any] = {}


@contextmanager
def remembered(mutant: Mutant) -> Iterator[None]:
    """Operators without the kernel of a mutant compute nothing twice."""
    with ExitStack() as patches:
        for module, operators in OPERATORS.items():
            for name, kernels in operators.items():
                own = f"{'scan' if module is launch else 'sparse'} "
                if mutant.kernel not in {own + kernel for kernel in kernels}:
                    known = partial(_once, name, vars(module)[name])
                    patches.enter_context(patch.object(module, name, known))
        yield


def _once(name: str, operator, *given):
    key = (name, *map(_bytes, given))
    if key not in _known:
        _known[key] = operator(*given)
    return tree_map(torch.clone, _known[key])


def _bytes(x):
    if isinstance(x, torch.Tensor):
        return x.dtype, x.shape, x.contiguous().numpy().tobytes()
    return tuple(map(_bytes, x)) if isinstance(x, (list, tuple)) else x


def warm() -> None:
    """Import, compile and compute, before processes begin here, what all of them need; without a
    fault the trial finds none.
    """
    torch.set_num_threads(1)
    small()
    right = Mutant("none", "none", "none", Path(str(scan.__file__)).read_text())
    for case in (*FEED, *RECURRENT, *BOXCAR):
        assert _wrong(right, (launch, "scan"), case) is None


@cache
def every() -> list[Mutant]:
    """Of all kernels."""
    found = [each for module in (scan, sparse) for each in mutants(Path(str(module.__file__)))]
    return sorted(found, key=lambda each: each.kind in ("mask", "edge", "index"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="")
    out, only = vars(parser.parse_args()).values()
    warm()
    known = list(csv.reader(out.open())) if out.exists() else []
    done = {(kernel, fault) for kernel, _, fault, _ in known}
    with out.open("a", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        if not known:
            table.writerow(("kernel", "kind", "fault", "found_by"))
        for mutant in every():
            if only in mutant.kernel and (mutant.kernel, mutant.fault) not in done:
                row = (*mutant[:3], finds(mutant))
                table.writerow(row)
                file.flush()
                print(*row, sep=" | ", flush=True)


if __name__ == "__main__":
    main()
