"""The house as a whole: who imports whom, what may be named where, and what may not be written anywhere."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "rnntool"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)

STAIRS: list[set[str]] = [
    {"errors"},
    {"config"},
    {"text"},
    {"nn", "ngram"},
    {"data"},
    {"models"},
    {"checkpoint"},
    {"score"},
    {"search"},
    {"train"},
    {"bench"},
    {"cli"},
]
"""The rooms from the cellar to the roof: a module imports from its own room and from those below."""

OUTSIDE: dict[str, set[str]] = {
    "errors": set(),
    "config": set(),
    "text": {"numpy"},
    "nn": {"torch"},
    "ngram": {"numpy"},
    "data": {"torch", "numpy"},
    "models": {"torch"},
    "checkpoint": {"torch", "safetensors", "numpy"},
    "score": {"torch", "numpy"},
    "search": {"torch", "numpy"},
    "train": {"torch"},
    "bench": {"torch", "numpy"},
    "cli": {"click", "rich"},
}
"""The packages beside the standard library that a room may name."""

HOMES = {
    "sentencepiece": ("text/pieces.py",),
    "zstandard": ("text/compression.py",),
    "compression": ("text/compression.py",),
    "sacrebleu": ("score/bleu.py",),
    "matplotlib": ("cli/figure.py",),
    "torch": ("cli/compute.py", "cli/info.py", "cli/training.py"),
    "triton": ("nn/kernels/",),
    "tensorboard": ("train/tensorboard.py",),
}
"""Files and folders, beside the rooms above, that may name a package."""


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST, *, path: Path) -> Iterator[tuple[str, int]]:
    """The dotted names a module imports, anywhere in it, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: a relative import"
            module = node.module or ""
            if module == "rnntool":
                for alias in node.names:
                    yield f"rnntool.{alias.name}", node.lineno
            else:
                yield module, node.lineno


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), path)


def without_type_checking(tree: ast.Module) -> ast.Module:
    """The module as it runs: without what only a type checker reads."""
    body = [node for node in tree.body if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")]
    return ast.Module(body, tree.type_ignores)


@pytest.fixture(params=MODULES, ids=name_of)
def module(request: pytest.FixtureRequest) -> Path:
    return request.param


def stair(room: str) -> int:
    return next(number for number, rooms in enumerate(STAIRS) if room in rooms)


def test_every_room_has_a_stair() -> None:
    rooms = {room_of(path) for path in MODULES} - {"__init__", "__main__"}
    assert rooms <= set().union(*STAIRS)


def test_imports_go_down_the_stairs(module: Path) -> None:
    room = room_of(module)
    if room == "__main__":
        room = "cli"
    for name, line in imports(parsed(module), path=module):
        parts = name.split(".")
        if parts[0] != "rnntool" or len(parts) == 1 or parts[1] in ("__version__", room):
            continue
        assert room != "__init__", f"{name_of(module)}:{line} imports {name}"
        assert stair(parts[1]) < stair(room), f"{name_of(module)}:{line} imports {name}, which is not below {room}"


def test_outside_packages_stay_in_their_rooms(module: Path) -> None:
    room, name = room_of(module), name_of(module)
    for package, line in imports(without_type_checking(parsed(module)), path=module):
        top = package.split(".")[0]
        if top in sys.stdlib_module_names or top == "rnntool" or top in OUTSIDE.get(room, set()):
            continue
        homes = HOMES.get(top, ())
        assert name.startswith(homes), f"{name}:{line} imports {top}, which lives in {homes or 'no room'}"


def test_rooms_are_empty_but_for_their_docstring(module: Path) -> None:
    if module.name == "__init__.py" and module.parent != PACKAGE:
        assert [type(node) for node in parsed(module).body] == [ast.Expr]


def test_public_names_have_docstrings(module: Path) -> None:
    tree = parsed(module)
    assert ast.get_docstring(tree), f"{name_of(module)} has no docstring"
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or "overload" in map(ast.unparse, node.decorator_list):
            continue
        if not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{name_of(module)}:{node.lineno}: {node.name} has no docstring"


def test_nothing_below_the_roof_prints_exits_or_reads_the_environment(module: Path) -> None:
    if room_of(module) in ("cli", "__main__"):
        return
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("print", "input", "exit", "quit"), f"{name_of(module)}:{node.lineno}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            dotted = f"{node.value.id}.{node.attr}"
            assert dotted not in ("sys.exit", "os._exit", "os.environ", "os.getenv", "os.environb"), (
                f"{name_of(module)}:{node.lineno}: {dotted}"
            )


def test_no_file_is_ever_executed(module: Path) -> None:
    """Model files and texts are data: nothing in the tree could run what they hold."""
    for name, line in imports(parsed(module), path=module):
        assert name.split(".")[0] not in ("pickle", "marshal", "shelve", "dill", "yaml"), f"{name_of(module)}:{line}"
    for node in ast.walk(parsed(module)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        where = f"{name_of(module)}:{node.lineno}: {called}"
        assert called not in ("eval", "exec", "torch.load", "torch.jit.load", "os.system", "os.popen"), where
        assert not any(keyword.arg in ("shell", "allow_pickle") for keyword in node.keywords), where


TOP = {"rnntool", "tests", "man", "scripts", "pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md"}


def test_nothing_else_lies_at_the_top() -> None:
    """Beside files whose names begin with a dot."""
    if shutil.which("git") is None:
        pytest.skip("no git")
    done = subprocess.run(["git", "ls-files"], cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    tracked = {line.split("/")[0] for line in done.stdout.splitlines()}
    assert {name for name in tracked if not name.startswith(".")} == TOP
