"""Code with a term left out, made from its syntax tree."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import Any


def deletions(code: str, of: tuple[str, ...] = ()) -> Iterator[str]:
    """The code without one operand of an operator, with one of the two values that a `select` is
    between in place of it, or without its minus, in the functions `of`, or anywhere.
    """
    tree = ast.parse(code)
    named = [f for f in tree.body if isinstance(f, ast.FunctionDef) and f.name in of]
    parts: list[ast.AST] = [*named] or [tree]
    places = [node for part in parts for node in ast.walk(part)]
    for node in places:
        others: list[ast.expr] = []
        if isinstance(node, ast.BinOp):
            others = [node.left, node.right]
        elif isinstance(node, ast.UnaryOp):
            others = [node.operand]
        elif isinstance(node, ast.Call) and node.args:
            others = node.args[1:] if ast.unparse(node.func) == "select" else node.args
            others = others if ast.unparse(node.func) not in ("like", "with_slope") else []
        for other in others:
            yield ast.unparse(_Put(node, other).visit(copy_of(tree, node)))


class _Put(ast.NodeTransformer):
    def __init__(self, place: ast.AST, other: ast.AST) -> None:
        self.place, self.other = place, other

    def visit(self, node: ast.AST) -> Any:
        return self.other if node is self.place else self.generic_visit(node)


def copy_of(tree: ast.Module, kept: ast.AST) -> ast.Module:
    """With the node that is to be replaced as it is."""
    return copy.deepcopy(tree, {id(kept): kept})
