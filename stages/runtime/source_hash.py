"""Hash of the source code that a command runs, so that a changed program reruns what it made."""

import ast
import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "stages"

# Settings reach a command by value (`--settings`), so a new field or description does not affect existing files.
BY_VALUE = f"{PACKAGE}.settings"
# How commands are run: logs, messages, places, the store, the end of jobs. None of it affects what a command writes,
# unlike `launch`, which spreads batches over processes.
MACHINERY = frozenset(
    f"{PACKAGE}.{name}"
    for name in (
        *("errors", "program"),
        *(f"runtime.{name}" for name in ("command", "source_hash", "store", "store_key", "watch")),
    )
)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Source:
    """What counts of a Python file: the project names that it imports, and its code without docstrings and comments."""

    imports: tuple[str, ...]
    code: bytes


def hash_of_command(module: str, root: Path) -> str:
    """Short hash of `module` (such as `stages.localize.train`) and of every project module that it imports, directly or
    indirectly, with the data files next to them. `root` is the folder that contains the package.

    Docstrings, comments, formatting and MACHINERY do not count. Raises FileNotFoundError if the module does not exist.
    """
    digest = hashlib.sha256()
    for path in sorted(_files(module, root)):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(_content(path))
    return digest.hexdigest()[:16]


def _files(module: str, root: Path) -> set[Path]:
    waiting, seen = [module], set()
    files: set[Path] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name in MACHINERY or name == BY_VALUE or name.startswith(f"{BY_VALUE}."):
            continue
        seen.add(name)
        path = _find(name, root)
        if path is None:
            if name == module:
                raise FileNotFoundError(f"{root / name.replace('.', '/')}.py")
            continue  # the name imported is a function or class, its module is already in the list
        files.add(path)
        files.update(_data_beside(path))
        waiting.extend(_source(path.read_text(encoding="utf-8")).imports)
    return files


def _find(name: str, root: Path) -> Path | None:
    base = root.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


@functools.cache  # the commands of a workflow share most files
def _source(text: str) -> Source:
    tree = ast.parse(text)
    return Source(tuple(_imports(tree)), ast.unparse(_without_docstrings(tree)).encode())


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == PACKAGE)


def _data_beside(path: Path) -> Iterator[Path]:
    """Lists, templates and the like in the module's folder and in plain data folders below it."""
    for entry in path.parent.iterdir():
        if entry.is_file() and entry.suffix not in (".py", ".pyc"):
            yield entry
        elif entry.is_dir() and entry.name != "__pycache__" and not any(entry.glob("*.py")):
            yield from (inner for inner in entry.rglob("*") if inner.is_file())


def _content(path: Path) -> bytes:
    if path.suffix != ".py":
        return path.read_bytes()
    return _source(path.read_text(encoding="utf-8")).code


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree
