"""What a part takes: the ranges of its values, the types of its options, where it is found, and the
words for all of these in messages.

Ranges are annotations of keyword arguments, or of the fields of a dataclass. fdi.config.settings
reads them from what a `_target_` names, before it is called: `def conv(*, kernel: Count)` refuses
`model.kernel=0`. No float of a configuration may be infinite or nan, whatever its annotation.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, fields, is_dataclass
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from fdi.config import Mistake

OURS = ("fdi", "torch")  # packages whose modules are never the user's own


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
StepSize = Annotated[float, Range(above=0, most=1e30)]  # of weights in float32
GammaShape = Annotated[float, Range(least=0.1)]  # below, nearly all that it draws is 0
NotNegative = Annotated[float, Range(least=0)]
AboveMinusOne = Annotated[float, Range(above=-1)]
Share = Annotated[float, Range(least=0, below=1)]  # of which something is left
Fraction = Annotated[float, Range(above=0, below=1)]
UpToOne = Annotated[float, Range(least=0, most=1)]
TimeStep = Annotated[float, Range(least=1e-6, most=1)]  # s
LONGEST_TAU = 1.0  # s; those of neurons and synapses are thousandths of it
TimeConstant = Annotated[float, Range(least=1e-6, most=1e3)]  # s; a readout's may be its trial
Duration = Annotated[float, Range(least=1e-6, most=1e3)]  # s


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
    meant = f"; did you mean {tau / 1000:g}?" if tau / 1000 <= LONGEST_TAU else ""
    return f"{name} = {tau} is in seconds, and at most {LONGEST_TAU:g}{meant}"


UNIT = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
MEASURE = re.compile(r"([0-9.]+(?:e[+-]?[0-9]+)?) ?(s|ms|us|)", re.IGNORECASE)


def wrong(name: str, value: Any, kinds: Sequence[Alternative]) -> str:
    """What is said of a value of `name` that is none of the `kinds`."""
    expected = " or ".join(kind.words for kind in kinds)
    *_, last = name.split(".")
    if "tau_" in last and _number(value) > LONGEST_TAU:
        return seconds(name, value)
    if isinstance(value, str) and (measure := MEASURE.fullmatch(value)):
        with suppress(ValueError):
            meant = float(measure[1]) * UNIT[measure[2].lower()]
            why = "in seconds, without a unit" if measure[2] else "a number, without quotes"
            if any(kind.admits(meant) for kind in kinds):
                return f"{name} = '{value}' must be {why}: {name}={meant:g}"
    return f"{name} = {shown(value)} must be {expected}"


def _number(value: Any) -> float:
    """0 for what is none."""
    return value if isinstance(value, int | float) else 0


MEANT = {"gpu": "cuda"}
"""Words of others for a choice that is not spelt alike."""


def choose(word: str, choices: Iterable[str]) -> str:
    """'did you mean b? choose one of a, b, c', the question only if one is close to `word`."""
    choices = sorted(choices)
    if not choices:
        return "there is nothing to choose from"
    word = MEANT.get(word, word).lower()
    lower = {choice.lower(): choice for choice in reversed(choices)}
    begins = sorted((name for name in lower if word.startswith(name) and len(name) > 3), key=len)
    near = partial(difflib.get_close_matches, word, lower, n=1)
    close = [lower[name] for name in near(cutoff=0.75) or begins[-1:] or near()]
    return (f"did you mean {close[0]}? " if close else "") + f"choose one of {', '.join(choices)}"


def shown(value: Any) -> str:
    """A value as one would write it on the command line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    return (
        {None: "null", True: "true", False: "false"}[value]
        if value is None or isinstance(value, bool)
        else str(value)
    )


class Alternative(NamedTuple):
    """One of the things that a value may be, in words and as a test."""

    words: str
    admits: Callable[[Any], bool]


SIMPLE: dict[Any, Alternative] = {
    int: Alternative(
        "an integer", lambda value: isinstance(value, int) and not isinstance(value, bool)
    ),
    float: Alternative(
        "a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    ),
    bool: Alternative("true or false", lambda value: isinstance(value, bool)),
    str: Alternative("text", lambda value: isinstance(value, str)),
    types.NoneType: Alternative("null", lambda value: value is None),
}
ANYTHING = Alternative("anything", lambda value: True)


@cache
def parameters(made: Callable[..., Any]) -> dict[str, list[Alternative]]:
    """Optional arguments of a function, a class or a TypedDict, and what they may be; nobody
    changes it.

    Where there are keyword-only arguments these are the options, else those with a default; the
    others come from elsewhere.
    """
    if isinstance(made, type) and (is_dataclass(made) or "__init__" not in vars(made)):
        hints = get_type_hints(made, include_extras=True)
        names = [field.name for field in fields(made)] if is_dataclass(made) else hints
        return {name: alternatives(hints[name]) for name in names}
    accepted = inspect.signature(made).parameters.values()
    options = [p for p in accepted if p.kind is p.KEYWORD_ONLY]
    options = options or [p for p in accepted if p.default is not p.empty]
    return _read({p.name: p.annotation for p in options}, vars(sys.modules[made.__module__]))


def _read(annotations: Mapping[str, Any], names: dict[str, Any]) -> dict[str, list[Alternative]]:
    """What annotations admit, whose words are `names`."""
    hints = get_type_hints(
        types.SimpleNamespace(__annotations__=annotations), names, include_extras=True
    )
    return {name: alternatives(hint) for name, hint in hints.items()}


@cache
def _schedules() -> dict[str, dict[str, str]]:
    """What the schedules of torch take, in words."""
    import yaml  # not needed to compute: scripts/gpu_check.py has no more than torch

    file = resources.files("fdi.config") / "torch_schedules.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def alternatives(hint: Any) -> list[Alternative]:
    """The alternatives of a type hint: unions, literals, sequences, mappings and what has limits,
    see fdi.config.parts; anything else admits all.
    """
    if hint in SIMPLE:
        return [SIMPLE[hint]]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return [_within(SIMPLE[arguments[0]], arguments[1])]
    if origin in (Union, types.UnionType):
        return [one for argument in arguments for one in alternatives(argument)]
    if origin is Literal:
        return [_word(argument) for argument in arguments]
    if origin in (tuple, list, Sequence):
        length = len(arguments) if origin is tuple and arguments[-1] is not Ellipsis else None
        return [_sequence(alternatives(arguments[0]), length)]
    if origin in (dict, Mapping):
        return [_mapping(alternatives(arguments[1]))]
    return [ANYTHING]


def _within(kind: Alternative, limits: Any) -> Alternative:
    return Alternative(
        f"{kind.words} {limits}", lambda value: kind.admits(value) and value in limits
    )


def _word(word: Any) -> Alternative:
    if not isinstance(word, str | int):  # a member of an enumeration
        return ANYTHING
    return Alternative(str(word), lambda value: value == word and type(value) is type(word))


def _sequence(element: list[Alternative], length: int | None = None) -> Alternative:
    words = " or ".join(kind.words for kind in element)
    return Alternative(
        f"a list{'' if length is None else f' of {length}'}, each {words}",
        lambda value: (
            isinstance(value, list | tuple)
            and (len(value) == length if length else bool(value) or element == [SIMPLE[str]])
            and all(any(kind.admits(item) for kind in element) for item in value)
        ),
    )


def _mapping(element: list[Alternative]) -> Alternative:
    words = " or ".join(kind.words for kind in element)
    return Alternative(
        f"key: value pairs, each {words}",
        lambda value: (
            isinstance(value, Mapping)
            and all(any(kind.admits(item) for kind in element) for item in value.values())
        ),
    )


TORCH, TORCH_OPTIONS = "torch.optim", "fdi.train.optimizers.TorchOptions"
SCHEDULES = "torch.optim.lr_scheduler"
NOT_MADE = "is not made for {key}; look at the other options of {key}"


class Role(NamedTuple):
    """Where the parts for a key are: functions that return `noun`, and classes that inherit from
    it. Importing them imports no torch. `besides`: keys of the node that are none of the part's
    arguments.
    """

    room: str
    noun: str
    besides: Mapping[str, Any] = {}


ROLES = {
    "dataset": Role("fdi.data", "Dataset"),
    "model": Role("fdi.snn.models", "Network"),
    "neuron": Role("fdi.snn.neuron", "Neuron"),
    "init": Role("fdi.init", "Strategy"),
    "optimizer": Role("fdi.train.optimizers", "Optimizer"),
    "scheduler": Role(SCHEDULES, "LRScheduler"),
    "engine": Role("fdi.engine", "Engine", {"name": str, "decides": list[str]}),
    "logger.mirror": Role("fdi.track", "Iterator[Mirror]"),
}
OPTIONAL = ("scheduler",)  # keys that may be null
SURROGATE = "neuron.surrogate"  # the name of one, or of a function of the user's own


class Options(NamedTuple):
    """The keyword arguments of a part, as far as they are `known`; `closed`: it takes no others."""

    known: dict[str, list[Alternative]]
    closed: bool


def options(key: str, target: str, folders: Sequence[Path] = ()) -> Options:
    """What `target`, the `_target_` of `key`, takes; torch and the user's own modules are not
    imported for it.

    `folders`: where modules of the user's own may be. Raises ValueError for what may not be named
    there.
    """
    module, _, name = target.rpartition(".")
    part, closed, problem, known = None, False, None, {}
    if not ours(target):
        problem = _foreign(module, name, folders)
    elif key == SURROGATE:
        problem = "is no function of your own; see fdi/snn/surrogate.py"
    elif key == "optimizer" and module == TORCH:
        part = _ours(TORCH_OPTIONS)
    elif key == "scheduler" and module == SCHEDULES:
        known, closed = _read(_schedules().get(name, {}), globals()), True
        problem = None if known else NOT_MADE
    else:
        (part, problem), closed = _part(ROLES[key], target), True
    if problem:
        where = key if key == SURROGATE else f"{key}._target_"
        raise Mistake(f"{where} = {target} {problem.format(key=key)}")
    known = parameters(part) if part else known
    besides = ROLES[key].besides if key in ROLES else {}
    return Options(known | {name: alternatives(hint) for name, hint in besides.items()}, closed)


@cache
def option(group: str, name: str) -> dict[str, Any]:
    """What the file of an option of fdi's own says; nothing if there is none. Nobody changes it."""
    import yaml  # not needed to compute: scripts/gpu_check.py has no more than torch

    file = resources.files("fdi.conf") / group / f"{name}.yaml"
    if not name.isidentifier() or not file.is_file():
        return {}
    return yaml.safe_load(file.read_text(encoding="utf-8")) or {}


@cache
def _usual(group: str, target: str) -> tuple[frozenset[str], frozenset[str]]:
    """The keys in all, and in any, of fdi's options of this group that make `target`."""
    folder = resources.files("fdi.conf") / group
    files = [file.name for file in folder.iterdir()] if folder.is_dir() else []
    nodes = [whole(group, name.removesuffix(".yaml")) for name in files if name.endswith(".yaml")]
    keys = [frozenset(node) for node in nodes if node.get("_target_") == target]
    if not keys:
        return frozenset(), frozenset()
    return frozenset.intersection(*keys), frozenset.union(*keys)


def whole(group: str, name: str) -> dict[str, Any]:
    """`option` with the options of its group that it begins with."""
    node = option(group, name)
    below = [whole(group, other) for other in node.get("defaults", []) if other != "_self_"]
    return {key: value for one in [*below, node] for key, value in one.items()}


def complete(group: str, node: Mapping[str, Any]) -> dict[str, Any]:
    """The node of a part of fdi or torch as its object is: a key that its options have, and that is
    left out here, has the part's own default; one that they have not, and that says this default,
    is left out.
    """
    made, target = dict(node), node.get("_target_")
    if not isinstance(target, str) or group not in ROLES or not ours(target):
        return made
    always, ever = _usual(group, target)
    for key in (always ^ node.keys()) - (ever - always) - {"_target_"} if ever else ():
        known = default(target, key, [])
        known = list(known) if isinstance(known, tuple) else known
        if known is UNSAID:
            continue
        if key not in made:
            made[key] = known
        elif made[key] == known and isinstance(made[key], bool) is isinstance(known, bool):
            del made[key]
    return made


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
    if not ours(target):
        from fdi.config import own_code  # only where there is such code

        own_code.edited(target, folders)  # it remembers this one
    if module == TORCH:
        parts = {name: part for name, part in parts.items() if isinstance(part, type)}
    if name not in parts:
        raise Mistake(f"{key}._target_: {module} has no {name}; {choose(name, parts)}")
    return parts[name]


UNSAID = object()


def default(target: str, option: str, folders: Sequence[Path]) -> Any:
    """What `option` of `target` is where a configuration does not say it; UNSAID for one that it
    does not take, or has no default for. Of torch and of the user's own modules the source is read,
    and nothing imported; a default that is no literal is its text.
    """
    module, _, name = target.rpartition(".")
    if module.partition(".")[0] == "fdi":
        try:
            known = inspect.signature(getattr(importlib.import_module(module), name)).parameters
        except (ImportError, AttributeError, TypeError, ValueError):
            return UNSAID
        given = known[option].default if option in known else inspect.Parameter.empty
        return UNSAID if given is inspect.Parameter.empty else given
    from fdi.config import own_code  # only where there is such code

    files = own_code.files(module, folders)
    if (spec := importlib.util.find_spec("torch") if module in (TORCH, SCHEDULES) else None) and (
        spec.origin
    ):
        within = name.lower() if module == TORCH else "lr_scheduler"
        files = [Path(spec.origin).parent / "optim" / f"{within}.py"]
    for file in files:
        with suppress(OSError, ValueError):
            return _said(own_code.parsed(file), name).get(option, UNSAID)
    return UNSAID


def _said(tree: ast.Module, name: str) -> dict[str, Any]:
    """The defaults of a function, of a class's __init__, or of the fields of a dataclass."""
    definitions = (n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef))
    found = next((n for n in definitions if n.name == name), None)
    if isinstance(found, ast.ClassDef):
        methods = (n for n in found.body if isinstance(n, ast.FunctionDef))
        made = next((n for n in methods if n.name == "__init__"), None)
        fields_of = (n for n in found.body if isinstance(n, ast.AnnAssign) and n.value)
        if made is None:
            return {
                n.target.id: _literal(n.value)
                for n in fields_of
                if isinstance(n.target, ast.Name) and n.value
            }
        found = made
    if found is None:
        return {}
    ordered = [*found.args.posonlyargs, *found.args.args]
    pairs = [
        *zip(reversed(ordered), reversed(found.args.defaults)),
        *((a, d) for a, d in zip(found.args.kwonlyargs, found.args.kw_defaults) if d),
    ]
    return {argument.arg: _literal(value) for argument, value in pairs}


def _literal(value: ast.expr) -> Any:
    try:
        return ast.literal_eval(value)
    except ValueError:
        return ast.unparse(value)


def ours(target: str) -> bool:
    """Whether the dotted name is one of fdi or torch."""
    return target.partition(".")[0] in OURS


def _foreign(module: str, name: str, folders: Sequence[Path]) -> str | None:
    from fdi.config import own_code  # only where there is such code

    where = "the folder of --config-dir or beside it"
    if not module:
        return f"is not a module and a name; write module.name, the module in {where}"
    files = own_code.files(module, folders)
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
        return own_code.unreadable(files[0], error)
    if name not in (n.name for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef)):
        return f"does not exist: {files[0]} defines no function or class {name}"
    return None
