"""What a value may be, the ranges and types of what parts take and the words for them in messages;
and what the parts are, by the key of the configuration whose `_target_` names one.

Ranges are annotations of keyword arguments, or of the fields of a dataclass. fdi.config.settings
reads them from what a `_target_` names, of fdi or of the user's own, before it is called: `def
conv(*, kernel: Count)` refuses `model.kernel=0`. No float of a configuration may be infinite or
nan, whatever its annotation.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import math
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import astuple, dataclass, fields, is_dataclass
from functools import cache, partial
from importlib import resources
from operator import ge, gt, le, lt
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from fdi.config import Mistake
from fdi.config.own_code import defined, ours, own_part


@dataclass(frozen=True)
class Range:
    """least <= value <= most and above < value < below, as far as they are given."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def __contains__(self, value: float) -> bool:
        bounds = zip((ge, le, gt, lt), astuple(self))
        return all(bound is None or holds(value, bound) for holds, bound in bounds)

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
StepSize = Annotated[float, Range(above=0, most=1e30)]  # of weights in float32
GammaShape = Annotated[float, Range(least=0.1)]  # below, nearly all that it draws is 0
NotNegative = Annotated[float, Range(least=0)]
AboveMinusOne = Annotated[float, Range(above=-1)]
Share = Annotated[float, Range(least=0, below=1)]  # of which something is left
Fraction = Annotated[float, Range(above=0, below=1)]
UpToOne = Annotated[float, Range(least=0, most=1)]
TimeStep = Annotated[float, Range(least=1e-6, most=1)]  # s
SHORTEST_TAU, LONGEST_TAU = 1e-6, 1.0  # s; those of neurons and synapses are thousandths of it
TimeConstant = Annotated[
    float, Range(least=SHORTEST_TAU, most=1e3)
]  # s; a readout's may be its trial
Duration = Annotated[float, Range(least=1e-6, most=1e3)]  # s


def wrong_tau(name: str, tau: float) -> str:
    """What is said of a time constant outside SHORTEST_TAU to LONGEST_TAU."""
    meant = f"; in seconds: {tau / 1000:g}?" if LONGEST_TAU < tau <= 1000 * LONGEST_TAU else ""
    return f"{name} = {tau} must be {SHORTEST_TAU:g} to {LONGEST_TAU:g} s{meant}"


SEVERAL_VALUES = re.compile(r"(\d+)(?::|-|\.\.)(\d+)")  # as in 0:5


def wrong(name: str, value: Any, kind: Values) -> str:
    """What is said of a value of `name` that is not of its kind."""
    if no_tau(name, value):
        return wrong_tau(name, value)
    hint = ", as in [a,b]" * (isinstance(value, str) and kind.words.startswith("a list"))
    if several := SEVERAL_VALUES.fullmatch(str(value)):
        hint = f"; several values are range({several[1]},{several[2]}), with -m"
    return f"{name} = {spelt(value)} must be {kind.words}{hint}"


def no_tau(name: str, tau: Any) -> bool:
    """Whether the name is that of a time constant of a neuron, which the number cannot be."""
    key = name.rpartition(".")[2]
    number = isinstance(tau, int | float) and not isinstance(tau, bool)
    return (
        "tau_" in key and key != "tau_shape" and number and not SHORTEST_TAU <= tau <= LONGEST_TAU
    )


MEANT = {
    "file": "train_file",
    "gpu": "cuda",
    "layers": "depth",
    "learning_rate": "lr",
    "loss": "objective",
    "n_layers": "depth",
    "num_layers": "depth",
}
"""Words of other programs, and fdi's."""


def choose(word: str, choices: Iterable[str]) -> str:
    """'did you mean b? choose one of a, b, c', the question only if one is close to `word`."""
    choices = sorted(choices)
    if not choices:
        return "there is nothing to choose from"
    word = (fdis if (fdis := MEANT.get(word)) in choices else word).lower()
    lower = {choice.lower(): choice for choice in reversed(choices)}
    begins = sorted((name for name in lower if word.startswith(name) and len(name) > 3), key=len)
    near = partial(difflib.get_close_matches, word, lower, n=1)
    close = [lower[name] for name in near(cutoff=0.75) or begins[-1:] or near()]
    return (f"did you mean {close[0]}? " if close else "") + f"choose one of {', '.join(choices)}"


def spelt(value: Any, word: Callable[[Any], str] = str) -> str:
    """A value as one would write it on the command line: null, true, 0.5, [1,2] or {a:1}; what is
    none of these as `word` says.
    """
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{spelt(item, word)}" for key, item in value.items()) + "}"
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return "[" + ",".join(spelt(item, word) for item in value) + "]"
    if isinstance(value, int | float):
        return str(value).lower()
    return word(value)


class Values(NamedTuple):
    """What a value may be, in words and as a test."""

    words: str
    admits: Callable[[Any], bool]


def _plain(words: str, *kinds: type) -> Values:
    """Of Python's own types, of which true and false are no numbers."""
    return Values(
        words,
        lambda value: isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool)),
    )


def either(*kinds: Values) -> Values:
    """What any of them admits."""
    return Values(
        " or ".join(kind.words for kind in kinds),
        lambda value: any(kind.admits(value) for kind in kinds),
    )


SIMPLE: dict[Any, Values] = {
    int: _plain("an integer", int),
    float: _plain("a number", int, float),
    bool: _plain("true or false", bool),
    str: _plain("text", str),
    types.NoneType: _plain("null", types.NoneType),
}
ANYTHING = Values("anything", lambda value: True)


@cache
def parameters(made: Callable[..., Any]) -> dict[str, Values]:
    """The arguments of a function or a class, and what they may be: what their annotations say, and
    null where it is the default; nobody changes it.
    """
    hints, known = hints_of(made), {}
    for name, argument in inspect.signature(made).parameters.items():
        if argument.kind not in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
            known[name] = values_of(hints.get(name))
            if argument.default is None and not known[name].admits(None):
                known[name] = either(known[name], SIMPLE[types.NoneType])
    return known


@cache
def hints_of(made: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of its arguments, as far as their names are known; nobody changes them."""
    if is_dataclass(made):
        with suppress(NameError):
            return get_type_hints(made, include_extras=True)
        return {}
    bare = made.func if isinstance(made, partial) else made
    function = inspect.unwrap(bare.__init__ if isinstance(bare, type) else bare)  # type: ignore[misc]
    names: dict[str, Any] = getattr(function, "__globals__", {})
    hints: dict[str, Any] = {}
    for name, argument in inspect.signature(made).parameters.items():
        one = types.SimpleNamespace(__annotations__={name: argument.annotation})
        with suppress(NameError, AttributeError, TypeError, SyntaxError):
            hints |= get_type_hints(one, names, include_extras=True)
    return hints


@cache
def defaults(made: Callable[..., Any]) -> dict[str, Any]:
    """Those of its arguments that a configuration can say; nobody changes them."""
    given = {name: one.default for name, one in inspect.signature(made).parameters.items()}
    as_lists = {
        name: list(value) if isinstance(value, tuple) else value for name, value in given.items()
    }
    return {name: value for name, value in as_lists.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)


def values_of(hint: Any) -> Values:
    """What a type hint admits: unions, literals, sequences, mappings and annotations with a range;
    anything else admits all.
    """
    if isinstance(hint, type) and hint in SIMPLE:
        return SIMPLE[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        limits = [limit for limit in arguments[1:] if isinstance(limit, Range | _Name)]
        return _within(values_of(arguments[0]), limits)
    if origin in (Union, types.UnionType):
        return either(*map(values_of, arguments))
    if origin is Literal:
        return either(*map(_one, arguments))
    if origin in (tuple, list, Sequence):
        length = len(arguments) if origin is tuple and arguments[-1] is not Ellipsis else None
        return _sequence(values_of(arguments[0]), length)
    if origin in (dict, Mapping):
        return _mapping(values_of(arguments[1]))
    if is_dataclass(hint):
        names = ", ".join(field.name for field in fields(hint))
        return _plain(f"{{{names}}}", Mapping)
    return ANYTHING


def _within(kind: Values, limits: Sequence[Range | _Name]) -> Values:
    return Values(
        " ".join([kind.words, *map(str, limits)]),
        lambda value: kind.admits(value) and all(value in limit for limit in limits),
    )


def _one(word: Any) -> Values:
    if not isinstance(word, str | int):  # a member of an enumeration
        return ANYTHING
    return Values(str(word), lambda value: value == word and type(value) is type(word))


def _sequence(element: Values, length: int | None) -> Values:
    return Values(
        f"a list{'' if length is None else f' of {length}'}, each {element.words}",
        lambda value: (
            isinstance(value, list | tuple)
            and (len(value) == length if length else bool(value) or element == SIMPLE[str])
            and all(map(element.admits, value))
        ),
    )


def _mapping(element: Values) -> Values:
    return Values(
        f"key: value pairs, each {element.words}",
        lambda value: isinstance(value, Mapping) and all(map(element.admits, value.values())),
    )


TORCH = {"optimizer": "torch.optim", "scheduler": "torch.optim.lr_scheduler"}
NOT_MADE = "is not made for {key}; look at the other options of {key}"


class Role(NamedTuple):
    """What the parts for a key are: functions in `package` that return `noun`, and classes that
    inherit from it. Importing them imports no torch. `given`: arguments that do not come from the
    configuration, `first`: how many more such come first; `besides`: keys of the node that are no
    arguments.
    """

    package: str
    noun: str
    given: Sequence[str] = ()
    first: int = 0
    besides: Mapping[str, Any] = {}


ROLES = {
    "dataset": Role("fdi.data", "Dataset", ("seed", "nu_paper")),
    "model": Role("fdi.snn.models", "Network", ("input_shape", "classes", "steps", "dt", "neuron")),
    "neuron": Role("fdi.snn.neuron", "Neuron"),
    "init": Role("fdi.init", "Strategy"),
    "objective": Role("fdi.snn.objective", "Loss", ("label_smoothing", "class_weights")),
    "optimizer": Role("fdi.train.optimizers", "Optimizer", first=1),
    "scheduler": Role("torch.optim.lr_scheduler", "LRScheduler", first=1),
    "engine": Role(
        "fdi.engine",
        "Engine",
        ("threads", "chunk", "windows"),
        besides={"name": str, "decides": list[str]},
    ),
    "logger": Role("fdi.track", "Iterator[Log]", first=3),
}
SEVERAL = "logger"  # it holds any number of parts, each by a name
OPTIONAL = ("scheduler", "logger")  # keys whose parts may be null
SURROGATE = "neuron.surrogate"  # the name of one, or of a function of the user's own


def nodes(key: str, value: Any) -> dict[str, Any]:
    """The parts that the `value` of a key of ROLES says, by the keys that they stand at."""
    return {f"{key}.{name}": one for name, one in value.items()} if key == SEVERAL else {key: value}


def role(key: str) -> Role:
    """That of the parts at this key; an empty one for what has none."""
    several = key.startswith(f"{SEVERAL}.")
    return ROLES.get(SEVERAL if several else key, Role("", ""))


def options(key: str, target: str, folders: Sequence[Path] = ()) -> tuple[dict[str, Values], bool]:
    """The keyword arguments of `target`, the `_target_` of `key`, as far as they are known, and
    whether it takes no others. Of torch fdi knows that, and does not import it.

    `folders`: where modules of the user's own may be. Raises ValueError for what may not be named
    there.
    """
    known_of = role(key)
    besides = {name: values_of(hint) for name, hint in known_of.besides.items()}
    if target.startswith(f"{TORCH.get(key)}."):
        known = {name: values_of(hint) for name, hint in _of_torch(key, target).items()}
        return known | besides, key == "scheduler"
    made = resolve(key, target, folders)
    given = {*known_of.given, *list(parameters(made))[: known_of.first]}
    known = {name: kind for name, kind in parameters(made).items() if name not in given}
    arguments = inspect.signature(made).parameters.values()
    return known | besides, not any(one.kind is one.VAR_KEYWORD for one in arguments)


def _of_torch(key: str, target: str) -> dict[str, Any]:
    """What a class of torch takes, as far as fdi knows. Raises ValueError for one that it cannot
    make.
    """
    name = "optimizers" if key == "optimizer" else target.rpartition(".")[2]
    if not (takes := _ranges_of_torch().get(name)):
        raise Mistake(f"{key}._target_ = {target} {NOT_MADE.format(key=key)}")
    return takes


@cache
def _ranges_of_torch() -> dict[str, dict[str, Any]]:
    named = _yaml(Path(__file__).with_name("torch.yaml"))
    said = {key: types.SimpleNamespace(__annotations__=hints) for key, hints in named.items()}
    return {key: get_type_hints(own, globals(), include_extras=True) for key, own in said.items()}


def _yaml(file: Any) -> dict[str, Any]:
    import yaml  # not needed to compute: scripts/gpu_check.py has no more than torch

    fast: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(file.read_text(encoding="utf-8"), fast) or {}


@cache
def option(group: str, name: str) -> dict[str, Any]:
    """What the file of an option of fdi's own says; nothing if there is none. Nobody changes it."""
    file = resources.files("fdi.conf") / group / f"{name}.yaml"
    if not name.isidentifier() or not file.is_file():
        return {}
    return _yaml(file)


@cache
def _listed(group: str, target: str) -> frozenset[str]:
    """The keys of fdi's option of this group that makes `target`, a class of torch; if there is
    none, the arguments that fdi knows.
    """
    files = (resources.files("fdi.conf") / group).iterdir()
    nodes = [option(group, file.name.removesuffix(".yaml")) for file in files]
    found = next((node for node in nodes if node.get("_target_") == target), None)
    return frozenset(_of_torch(group, target) if found is None else found)


def complete(key: str, node: Mapping[str, Any], folders: Sequence[Path] = ()) -> dict[str, Any]:
    """The node of a part as its object is: what it leaves out has the default of the part. Of torch
    only what fdi's options list is part of it, and what has another value than the default of
    torch, which is not imported where the node has the keys of an option.
    """
    target = node.get("_target_")
    if key not in ROLES or not isinstance(target, str):
        return dict(node)
    try:
        torch = target.startswith(f"{TORCH.get(key)}.")
        if torch and _listed(key, target) == node.keys():
            return dict(node)
        made = resolve(key, target, folders)
        known = defaults(made)
        names = _listed(key, target) if torch else known.keys() - ROLES[key].given
    except (ValueError, TypeError):  # of what is no part, which is refused elsewhere
        return dict(node)
    extra = {name for name in known.keys() - names if torch and equal(node.get(name), known[name])}
    said = {name: value for name, value in node.items() if name not in extra}
    return said | {name: deepcopy(known[name]) for name in known if name in names - node.keys()}


def resolve(key: str, target: str, folders: Sequence[Path] = ()) -> Callable[..., Any]:
    """The function or class that `target`, the `_target_` of `key`, names; a module of the user's
    own is imported from `folders`. Raises ValueError for one that may not be named there.
    """
    module, _, name = target.rpartition(".")
    if module == TORCH.get(key):
        _of_torch(key, target)
        members = vars(importlib.import_module(module))
        classes = {word: one for word, one in members.items() if isinstance(one, type)}
        if name not in classes:
            raise Mistake(f"{key}._target_: {module} has no {name}; {choose(name, classes)}")
        return classes[name]
    try:
        if not ours(target):
            return own_part(module, name, folders)
        if key == SURROGATE:
            raise Mistake("is no function of your own; see fdi/snn/surrogate.py")
        return _of_fdi(key, module, name)
    except Mistake as error:
        where = key if key == SURROGATE else f"{key}._target_"
        raise Mistake(f"{where} = {target} {error}") from None


def _of_fdi(key: str, module: str, name: str) -> Callable[..., Any]:
    asked, not_made = role(key), NOT_MADE.format(key=key.partition(".")[0])
    if not f"{module}.".startswith(f"{asked.package}.") or name.startswith("_"):
        raise Mistake(not_made)
    try:
        part = defined(importlib.import_module(module), name)
    except ImportError:
        part = None
    if part is None:
        raise Mistake("does not exist")
    if isinstance(part, type):
        nouns = [] if inspect.isabstract(part) else [base.__name__ for base in part.__mro__]
    else:
        nouns = [inspect.signature(part).return_annotation]
    if asked.noun not in nouns:
        raise Mistake(not_made)
    return part


def equal(one: Any, other: Any) -> bool:
    """Whether two values of a configuration are one: 1 and 1.0 are, 1 and true are not."""
    return one == other and isinstance(one, bool) is isinstance(other, bool)
