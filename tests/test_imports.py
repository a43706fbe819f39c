"""The arrows between the rooms of the package point one way, and the console starts without
torch.
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fdi"
HEAVY = {"torch", "numba", "pandas", "matplotlib", "tonic", "torchvision"}

# room -> the rooms it may import; nothing may import a room that comes later in this table
ALLOWED = {
    room: {*others.split()}
    for room, others in {
        "conf": "",
        "config": "",
        "data": "config",
        "snn": "config data",
        "engine": "config data snn",
        "track": "config data",
        "init": "config data snn track",
        "train": "config data engine snn track",
        "interop": "config data init snn",
        "runner": "config data engine init snn track train",
        "analysis": "config track train",
        "figures": "analysis config data track",
        "cli": "analysis conf config data figures init runner snn track train",
        "testing": "config data engine init snn",
        "notebook": "analysis cli config data figures init interop runner track",
        "study": "analysis config figures runner track train",
    }.items()
}
# what one opens to follow `fdi-run`, besides its engine and the parts it names; the __init__ of a
# room says what it is for and hands out its public names, and does not count
RUN = {
    "cli": {"cells", "command", "compose", "run", "task", "terminal"},
    "config": {"identity", "parts", "settings"},
    "data": {"dataset", "inputs"},
    "init": {"probe", "strategy", "theory", "verdict"},
    "runner": {"build", "story", "training"},
    "snn": {"network", "objective"},
    "track": {"evidence", "files", "process", "record"},
    "train": {"trainer"},
}
PARTS = {
    "fdi.config.cache",  # where the engine keeps its kernels
    "fdi.config.metric",  # what runs are judged by
    "fdi.config.own_code",  # where parts of the user's own come from
    "fdi.data.randman",
    "fdi.data.targets",  # what it is asked for
    "fdi.init.baselines",  # the readout's
    "fdi.init.fluct",
    "fdi.init.named",  # by its name
    "fdi.runner.operations",  # what it costs
    "fdi.snn.equations",  # in which a neuron is described
    "fdi.snn.models",
    "fdi.snn.neuron",
    "fdi.snn.surrogate",
    "fdi.track.fields",  # what a record may hold
    "fdi.train.optimizers",
    "fdi.train.rules",
}
FORBIDDEN = {
    "figures": {"torch"},
    "study": {"torch"},
    "cli": HEAVY,
    "config": HEAVY,
}


@functools.cache
def imports(path: Path) -> set[str]:
    """Dotted names of the modules that a file imports, anywhere in it, but for type checking."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checks = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    unused = {id(node) for check in checks for node in check.body}
    names = set()
    for node in ast.walk(tree):
        if id(node) in unused:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= (
                {f"fdi.{alias.name}" for alias in node.names}
                if node.module == "fdi"
                else {str(node.module)}
            )
    return names


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def test_the_hall_is_empty():
    files = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert files == {"__init__.py", "py.typed"}


def test_the_table_points_one_way():
    order = list(ALLOWED)
    for name, allowed in ALLOWED.items():
        assert all(order.index(other) < order.index(name) for other in allowed), name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_it_may(path):
    own = room(path)
    assert own in ALLOWED, f"{own} is not in the table of rooms"
    assert "." not in own
    used = {name.split(".")[1] for name in imports(path) if name.startswith("fdi.")} - {
        own,
        "__version__",
    }
    assert used <= ALLOWED[own]
    assert not {name.split(".")[0] for name in imports(path)} & FORBIDDEN.get(own, set())


COMMANDS = [f"fdi.cli.{name}" for name in sorted(RUN["cli"] | {"summary"})]
PARTS_OF_CONF = """
from pathlib import Path
import yaml
from fdi.config.parts import ROLES, nodes, options
for key in ROLES:
    for file in Path("conf", key).glob("*.yaml"):
        for place, node in nodes(key, yaml.safe_load(file.read_text()) or {}).items():
            if "_target_" in node:
                options(place, node["_target_"], [])
"""
LIGHT: dict[str, tuple[str, set[str]]] = {  # code, and what it must not import
    "fdi": ("import fdi", {"torch", "pandas", "matplotlib"}),
    "the console": (f"import fdi.config.settings, {', '.join(COMMANDS)}", HEAVY),
    "fdi-data": ("import fdi.cli.data", {"torch", "tonic", "h5py", "matplotlib"}),
    "fdi-figures": ("import fdi.cli.figures", {"torch", "matplotlib.pyplot"}),
    "a report": (
        "import fdi.analysis.results, fdi.figures.report\n"
        "from fdi.analysis.statistics import paired; paired([0.5, 0.7], [0.4, 0.5], 0.05)",
        {"scipy.optimize", "scipy.stats", "torch"},
    ),
    "what a part takes": (PARTS_OF_CONF, HEAVY),
    "a recipe": ("import fdi.notebook.recipe", {"pandas", "hydra", "matplotlib", "numba"}),
    "a run by default": (
        "import torch; from fdi.train.optimizers import SMORMS3\n"
        "from fdi.engine.device import exact; exact()\n"
        "assert torch.are_deterministic_algorithms_enabled()\n"
        "made = SMORMS3([torch.ones(1, requires_grad=True)])\n"
        "made.load_state_dict(made.state_dict())",
        {"torch._dynamo"},  # its compiler
    ),
}


@pytest.mark.parametrize("name", LIGHT)
def test_nothing_large_is_imported_without_need(name):
    code, unwanted = LIGHT[name]
    code = f"{code}\nimport sys; print(*{unwanted} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (found.stdout, found.returncode) == ("\n", 0), found.stderr


def test_what_hydra_keeps_to_itself_is_not_asked_for():
    files = [*FILES, *(ROOT / "scripts").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    assert not [path for path in files if any("hydra._" in name for name in imports(path))]


def test_every_package_is_shipped():
    listed = set(
        re.findall(
            r'"(fdi[.\w]*)",?\n',
            (ROOT / "pyproject.toml").read_text().partition("packages = [")[2].partition("]")[0],
        )
    )
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("*.py")}
    assert listed == folders | {"fdi.conf"}


KNOWN = re.compile(
    r"(Cpu|Cuda|Reference)Engine\b|fdi\.engine\.(cpu|cuda|reference)\b"
    r"|engine=(cpu|cuda|reference)\b|engine\.name (==|!=|in)"
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_room_of_the_engines_knows_them(path):
    """By name or class, in code and in texts."""
    if room(path) == "engine":
        return
    assert not KNOWN.search(path.read_text(encoding="utf-8"))


def test_a_run_is_followed_in_few_files(tmp_path):
    words = ["trainer.epochs=1", "dataset.samples=20", "dataset.units=5", "model.hidden=8"]
    code = (
        f"import sys; sys.argv[1:] = {words}\n"
        "from fdi.cli.run import main\n"
        "print(main(), [m.__name__ for m in sys.modules.values()\n"
        "    if hasattr(m, '__file__') and m.__name__.startswith('fdi.')], sep='|')"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    ended, _, listed = found.stdout.splitlines()[-1].partition("|")
    assert ended == "0"
    files = {name for name in ast.literal_eval(listed) if len(name.split(".")) == 3}
    read = {name for name in files if name.split(".")[1] not in ("engine", "conf")}
    known = {f"fdi.{room}.{file}" for room, files in RUN.items() for file in files}
    assert read == known | PARTS
    assert len(known) <= 25


APART = [
    *("analysis", "cli", "conf", "data", "engine", "init"),
    *("interop", "notebook", "runner", "track", "train"),
]
"""Rooms whose files do not import each other in a circle."""


@pytest.mark.parametrize("name", APART)
def test_files_of_a_room_do_not_import_each_other_in_a_circle(name):
    """Nor within functions or for type checking."""
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (PACKAGE / name).rglob("*.py")
    }
    graph = {}
    for own, path in files.items():
        seen = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                seen |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                given = {f"{node.module}.{alias.name}" for alias in node.names}
                seen |= {name if name in files else str(node.module) for name in given}
        graph[own] = seen & files.keys() - {own}
    TopologicalSorter(graph).prepare()


DOCUMENTED = re.compile(
    r"_(replace|asdict|fields|make|exit|getframe|target_|getvalue|foreach_\w+|v|sample)"
)
"""Of lauscher's ear, whose public parts keep all in memory, named tuples, os and sys, the key of
Hydra, the value of a structure in Numba's pages on extensions, and torch's operations on lists,
which have no other name in torch below 2.14.
"""


def test_nobody_uses_private_names_of_other_libraries():
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
    ours = {name for tree in trees.values() for node in ast.walk(tree) for name in made(node)}
    found = {
        f"{path.relative_to(PACKAGE).as_posix()}: {name}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        for name in used(node)
        if is_private(name) and name not in ours and not DOCUMENTED.fullmatch(name)
    }
    assert found == set()


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def made(node: ast.AST) -> set[str]:
    """Names that a node defines: functions, classes, variables, attributes of self."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Attribute) and is_own(node):
        return {node.attr}
    return {node.id} if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else set()


def is_own(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def used(node: ast.AST) -> set[str]:
    """Names that a node takes from elsewhere: imported, attributes, asked for in a string."""
    if isinstance(node, ast.Import):
        return {part for alias in node.names for part in alias.name.split(".")}
    if isinstance(node, ast.ImportFrom) and not str(node.module).startswith("fdi."):
        return {*str(node.module).split("."), *(alias.name for alias in node.names)}
    if isinstance(node, ast.Attribute) and not is_own(node):
        return {node.attr}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        asked = node.args[1:2] if node.func.id in ("getattr", "hasattr", "setattr") else []
        return {str(name.value) for name in asked if isinstance(name, ast.Constant)}
    return set()
