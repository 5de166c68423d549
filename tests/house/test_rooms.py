"""Small rooms: no file, function, class or constructor grows past what one can take in at a glance."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FILE_LINES = 300
FUNCTION_LINES = 40
CLASS_METHODS = 15
FOLDER_FILES = 20
CONSTRUCTOR_PARAMETERS = 8
TOP_LEVEL = {
    *("ironforge", "actors", "tests", "benchmarks", "scripts"),
    *("pyproject.toml", "README.md", "LICENSE"),
}

FILES = sorted(
    path for folder in ("ironforge", "actors", "benchmarks", "tests") for path in (ROOT / folder).rglob("*.py")
)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def lines_of_code(function: Function) -> int:
    """Without its docstring, which may be as long as it needs to be."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def too_big(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    if text.count("\n") > FILE_LINES:
        yield f"{text.count(chr(10))} lines"
    for function in functions(tree):
        if lines_of_code(function) > FUNCTION_LINES:
            yield f"{function.name}: {lines_of_code(function)} lines"
        parameters = len([*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]) - 1
        if function.name == "__init__" and parameters > CONSTRUCTOR_PARAMETERS:
            yield f"line {function.lineno}: a constructor with {parameters} parameters"
    for node in ast.walk(tree):
        # A state machine in a test has a method for every rule of its model.
        if isinstance(node, ast.ClassDef) and "tests" not in path.parts:
            methods = sum(isinstance(member, Function) for member in node.body)
            if methods > CLASS_METHODS:
                yield f"{node.name}: {methods} methods"


@pytest.mark.unmeasured
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_stay_small(path: Path) -> None:
    assert list(too_big(path)) == []


def test_no_folder_of_the_product_is_crowded() -> None:
    folders = Counter(path.parent for path in FILES if path.relative_to(ROOT).parts[0] in ("ironforge", "actors"))

    assert [str(folder) for folder, files in folders.items() if files > FOLDER_FILES] == []


def test_nothing_else_lies_at_the_top() -> None:
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}

    assert found - {"build"} - {name for name in found if name.endswith(".egg-info")} == TOP_LEVEL


def test_nothing_is_pickled_or_evaluated() -> None:
    forbidden = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
    for path in (path for path in FILES if "tests" not in path.parts):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not forbidden & {name.split(".")[0] for name in names}, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec"), path
