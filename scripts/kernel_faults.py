"""Faults of kernels that Triton's interpreter cannot show, read in what they are compiled to:
numbers of 32 bits that may overflow on their way into an address (in the TTIR), and threads that
may read what another one has not yet stored (in the PTX). Needs neither a GPU nor triton.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_TARGET = "a target is below N + 128, and N a number of 32 bits"
_SHARE = "a share ends less than a share beyond B samples, and B is a number of 32 bits"
_SQUARE = "a recurrent layer of a kernel has at most 256 units: 2^16 weights"
_BATCH = (
    "samples that are computed at once need 38 bytes a unit in each of at least 3 steps (need in "
    "memory.py): 2^31 units would be 245 GB, and a batch that does not fit is split"
)
ALLOWED = {
    "n = tl.program_id(1) * NP + tl.arange(0, NP)": _TARGET,
    "last = tl.minimum(B, (share + 1) * SHARE)": _SHARE,
    "for first in range(share * SHARE, last, BLOCK):": _SHARE,
    "sources = tl.where(b < B, b, -1).to(tl.int32)": "a sample is below B, a number of 32 bits",
    "spikes + sources[:, None] * N + row[None, :],": _BATCH,
    "at = n[None, :] * N + row[:, None]": _SQUARE,
    "at = row[:, None] * N + n[None, :]": _SQUARE,
    "own = deliver(before, w + N * N, N, NP, CHUNK, sources, False)": _SQUARE,
    "d_spike += deliver(after + channel, w + N * N, N, NP, CHUNK, sources, True)": _SQUARE,
}
"""Lines of kernels whose numbers of 32 bits reach an address, and why they stay below 2^31."""

STAGGERED = {("forward", "s"): "a step stores its spikes before it reads those of the step before"}
"""(kernel, argument) of which a step reads another row than the one it has just stored: only the
stores before that one need a barrier.
"""


def faults(ttir: str, ptx: str, sources: Mapping[str, str]) -> list[str]:
    """Those of one kernel, a line each; `sources`: the text of each file that it comes from, by
    its name. Triton remembers what it has compiled, with the folder in which the file was then.
    """
    return [*dict.fromkeys((*narrow(ttir, sources), *unordered(ptx, _arguments(ttir))))]


NAME, NEW = re.compile(r"%[\w.]+"), re.compile(r"(%[\w.]+)(?::\d+)? = ")
OPERATION = re.compile(r'(?:(%.*?) = )?"?([a-z]+\.[\w.]+)"?(.*)')
NARROW = {"arith.muli": "product", "arith.shli": "product", "arith.trunci": "number cut"}
BITS = re.compile(r"(?:tensor<[\dx]*)?i(\d+)>?$")
FRESH = {"tt.load", "tt.addptr", "arith.cmpi", "arith.cmpf"}
"""Operations whose result is none of the numbers they are given."""


class Flow(NamedTuple):
    """What each name is computed from, what is added to an address, and (what it is, location) of
    each product of less than 64 bits.
    """

    made: dict[str, set[str]]
    added: list[str]
    narrow: dict[str, tuple[str, str]]


def narrow(ttir: str, sources: Mapping[str, str]) -> Iterator[str]:
    """Products of less than 64 bits that reach an address from a line that is not ALLOWED."""
    flow, places = _flow(ttir), dict(re.findall(r"^(#loc\d*) = loc\((.*)\)$", ttir, re.MULTILINE))
    reached = _reached(flow.made, flow.added)
    for name, (what, location) in flow.narrow.items():
        if name in reached and (line := _line(location, places, sources)) not in ALLOWED:
            yield f"a {what} of 32 bits reaches an address: {line}"


def _flow(ttir: str) -> Flow:
    """A body (of a loop, a condition, a reduction) is a name of its own: what goes in and what its
    turns hand on may be all that comes out of it.
    """
    flow, bodies = Flow(defaultdict(set), [], {}), [""]
    for number, line in enumerate(ttir.splitlines()):
        text, _, location = line.strip().partition(" loc(")
        found = OPERATION.match(text)
        if text.startswith("}"):
            bodies = bodies if text.endswith("{") else bodies[:-1]
        elif text.startswith("^"):
            _link(flow, NAME.findall(line), [bodies[-1]])
        elif text.endswith("{"):
            bodies.append(f"body {number}")
            _link(flow, bodies[-1:], NAME.findall(found[3]) if found else [])
            _link(flow, NEW.findall(text), bodies[-1:])
        elif found:
            _computed(flow, found, bodies[-1], location)
    return flow


def _computed(flow: Flow, found: re.Match[str], body: str, location: str) -> None:
    results, operation, rest = found.groups("")
    given = NAME.findall(rest)
    if operation == "tt.addptr":
        flow.added.append(given[1])
    if operation not in FRESH:
        ends = operation.endswith((".yield", ".condition", ".return"))
        _link(flow, [body] if ends else NAME.findall(results), given)
    bits = BITS.search(rest)
    if operation in NARROW and bits and int(bits[1]) < 64:
        flow.narrow[results] = NARROW[operation], location


def _link(flow: Flow, names: list[str], given: list[str]) -> None:
    for name in names:
        flow.made[name].update(given)


def _reached(made: dict[str, set[str]], names: list[str]) -> set[str]:
    """All that these are computed from, and they."""
    reached, left = set[str](), list(names)
    while left:
        if (name := left.pop()) not in reached:
            reached.add(name)
            left.extend(made[name])
    return reached


def _line(location: str, places: dict[str, str], sources: Mapping[str, str]) -> str:
    """The line of the source; of a function that another one calls, that in the inner one."""
    while not (found := re.search(r'"[^"]*?([^"/]+)":(\d+)', location)):
        inner = re.search(r"#loc\d*", location)
        if inner is None:
            return "a line that is not known"
        location = places[inner[0]]
    file, number = found[1], int(found[2])
    return sources[file].splitlines()[number - 1].strip() if file in sources else found[0]


def _arguments(ttir: str) -> list[str]:
    head = next(line for line in ttir.splitlines() if "tt.func" in line)
    return re.findall(r"%([\w.]+): !tt\.ptr", head)


TEXT = re.compile(
    r"\.loc\s+\d+ (?P<line>\d+) .*|(?P<label>\$L__BB\w+):|"
    r"(?P<if>@!?%p\d+\s+)?(?P<does>[a-z][\w.:]*)\s*(?P<first>\{[^}]*\}|[^,]*)(?P<rest>.*);"
)
ADDRESS, SPACE = re.compile(r"\[(.*?)\]"), re.compile(r"\.(shared|global)\b")
POINTER = re.compile(r"\.param \.u64 \.ptr .* (\w+_param_\d+)")
OPERAND = re.compile(r"%[a-z]+\d+|%tid\.x|\w+_param_\d+|global_smem|-?\b\d+\b")
SHARED = "shared memory"
LAST = 2**31


class Access(NamedTuple):
    """A "load", a "store" or a "barrier"; of which arguments of the kernel, or of SHARED; between
    which bytes of that; its address, if that is a thread's own; the line of the source.
    """

    what: str
    memory: frozenset[str]
    first: int
    last: int
    own: str
    line: int


class Block(NamedTuple):
    """What happens one after the other, and the labels of what may come next."""

    accesses: list[Access]
    following: list[str]


class Pending(NamedTuple):
    """An access since which no barrier came; whether that memory has been stored to since."""

    access: Access
    again: bool


def unordered(ptx: str, arguments: list[str]) -> Iterator[str]:
    """Loads of what was stored before on a way without a barrier, and stores to shared memory of
    what was loaded before on one.
    """
    (kernel,) = re.findall(r"\.entry (\w+)", ptx)
    blocks = _blocks(ptx, arguments)
    known: dict[str, frozenset[Pending]] = {}
    told: dict[str, None] = {}
    left = [("", frozenset[Pending]())]
    while left:
        label, pending = left.pop()
        if label in known and pending <= known[label]:
            continue
        pending = known[label] = pending | known.get(label, frozenset())
        for access in blocks[label].accesses:
            told |= {
                f"no barrier between a {first.what} (line {first.line}) and a {access.what} (line "
                f"{access.line}) of {' or '.join(sorted(memory))}": None
                for first, again in pending
                if (memory := _meet(kernel, first, again, access))
            }
            pending = _after(pending, access)
        left += [(following, pending) for following in blocks[label].following]
    yield from told


def _meet(kernel: str, first: Access, again: bool, access: Access) -> frozenset[str]:
    """The memory in which the later of two accesses needs a barrier before it."""
    both = first.memory & access.memory
    if first.last < access.first or access.last < first.first or first.own == access.own != "":
        return frozenset()
    match first.what, access.what:
        case "store", "load":
            apart = [name for name in both if (kernel, name) in STAGGERED and not again]
            return both.difference(apart)
        case "load", "store":
            return both & {SHARED}
    return frozenset()


def _after(pending: frozenset[Pending], access: Access) -> frozenset[Pending]:
    if access.what == "barrier":
        return frozenset()
    stored = access.memory if access.what == "store" else frozenset()
    older = (Pending(each, again or bool(each.memory & stored)) for each, again in pending)
    return frozenset({*older, Pending(access, False)})


def _blocks(ptx: str, arguments: list[str]) -> dict[str, Block]:
    """From the first, "", on; what instructions of a line do alike in a row is one access."""
    texts = [found for each in ptx.splitlines() if (found := _text(each))]
    threads = int(re.findall(r"\.reqntid (\d+)", ptx)[0])
    numbers = Numbers(texts, dict(zip(POINTER.findall(ptx), arguments)), threads)
    barriers = ("bar.sync", "barrier.sync", *["bar.warp.sync"] * (threads == 32))
    blocks, line = {"": (block := Block([], []))}, 0
    for found in texts:
        does = found["does"] or ""
        if found["line"]:
            line = int(found["line"])
        elif found["label"]:
            block.following.append(found["label"])
            block = blocks.setdefault(found["label"], Block([], []))
        elif does.startswith(("bra", "ret")):
            rest = f"after {len(blocks)}"
            block.following.extend([found["first"]] * (does != "ret") + [rest] * bool(found["if"]))
            block = blocks.setdefault(rest, Block([], []))
        elif does.startswith(barriers) and not found["if"]:
            block.accesses.append(Access("barrier", frozenset(), 0, 0, "", line))
        elif SPACE.search(does):
            access = Access(_what(does), *numbers.place(found), line)
            block.accesses.extend([access] * (block.accesses[-1:] != [access]))
    return blocks


def _text(line: str) -> re.Match[str] | None:
    return TEXT.fullmatch(line.partition("//")[0].strip())


def _what(operation: str) -> str:
    if operation.startswith(("ld", "st")):
        return {"ld": "load", "st": "store"}[operation[:2]]
    raise ValueError(f"{operation} neither loads nor stores: kernel_faults.py must learn it")


def _width(operation: str) -> int:
    """Bytes of an address that an instruction touches."""
    several, bits = re.search(r"\.v(\d)", operation), int(operation.rpartition(".")[2][1:])
    return 16 if "matrix" in operation else bits // 8 * int(several[1] if several else 1)


class Numbers:
    """Of each register: what it is computed from, parameters and shared memory included, and
    between which numbers it must be.
    """

    def __init__(self, texts: list[re.Match[str]], pointers: dict[str, str], threads: int) -> None:
        self.made: dict[str, set[str]] = defaultdict(set)
        self.computed: dict[str, list[re.Match[str]]] = defaultdict(list)
        self.pointers = pointers
        self.spans = {"%tid.x": (0, threads - 1), "global_smem": (0, 0)}
        for found in texts:
            if found["does"]:
                self._add(found)

    def _add(self, found: re.Match[str]) -> None:
        does, given = found["does"], OPERAND.findall(found["rest"])
        shared, names = "shared" in does, OPERAND.findall(found["first"])
        if does.startswith("st"):
            self.made[SHARED].update(given if shared else ())
            return
        if does.startswith("ld") and not does.startswith("ld.param"):
            given = [SHARED] if shared else []
        for name in names:
            self.made[name].update(given)
            self.computed[name].append(found)

    def place(self, found: re.Match[str]) -> tuple[frozenset[str], int, int, str]:
        """The memory that an instruction touches, between which bytes, and an address that is a
        thread's own: a product or sum of its number, that no loop changes.
        """
        does, (text,) = found["does"], ADDRESS.findall(found[0])
        reached = _reached(self.made, address := OPERAND.findall(text))
        if "shared" in does:
            first, last = map(sum, zip(*map(self.span, address)))
            alone = "matrix" not in does and "%tid.x" in reached and last < LAST
            return frozenset({SHARED}), first, last + _width(does) - 1, text if alone else ""
        if memory := {self.pointers[name] for name in reached & self.pointers.keys()}:
            return frozenset(memory), 0, LAST, ""
        raise ValueError(f"{found[0]} is an address of no argument: kernel_faults.py must learn it")

    def span(self, operand: str) -> tuple[int, int]:
        """The least and the largest number that an operand may be; 0 and LAST if unknown."""
        if operand.lstrip("-").isdigit():
            return int(operand), int(operand)
        if operand not in self.spans:
            self.spans[operand] = 0, LAST  # what a loop changes is unknown
            spans = [self._span(found) for found in self.computed[operand]]
            self.spans[operand] = min(s[0] for s in spans), min(LAST, max(s[1] for s in spans))
        return self.spans[operand]

    def _span(self, found: re.Match[str]) -> tuple[int, int]:
        given = [self.span(operand) for operand in OPERAND.findall(found["rest"])]
        lows, highs = zip(*given) if given else ((0,), (LAST,))
        match found["does"].partition(".")[0]:
            case "mov" if given:
                return given[0]
            case "add" if len(given) == 2:
                return sum(lows), sum(highs)
            case "and":
                return 0, max(highs) if min(lows) < 0 else min(highs)
            case "or" | "xor" as does if min(lows) >= 0:
                most = 2 ** max(highs).bit_length() - 1
                return max(lows) if does == "or" else 0, min(sum(highs), most)
            case "mul" | "mad" if min(lows) >= 0:
                rest = given[2] if len(given) > 2 else (0, 0)
                return lows[0] * lows[1] + rest[0], highs[0] * highs[1] + rest[1]
            case "shl" if highs[1] < 32:
                return lows[0] << lows[1], highs[0] << highs[1]
            case "bfe":
                return 0, 2 ** highs[2] - 1
        return 0, LAST
