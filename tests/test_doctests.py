"""Examples in docstrings: run, with what they print."""

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

STAGES = Path(__file__).parents[1] / "stages"
WITH_EXAMPLES = [path for path in sorted(STAGES.rglob("*.py")) if ">>>" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.relative_to(STAGES).as_posix())
def test_examples(path: Path) -> None:
    name = ".".join(path.relative_to(STAGES.parent).with_suffix("").parts)
    failed, tried = doctest.testmod(importlib.import_module(name), verbose=False)
    assert tried
    assert failed == 0, "see what was printed above"


@pytest.mark.parametrize(
    "name", ["localize.tokens", "evaluate.confusion", "evaluate.threshold_sweep", "refine.random_walk"]
)
def test_each_function_of_the_equations_has_an_example(name: str) -> None:
    module = importlib.import_module(f"stages.{name}")
    functions = inspect.getmembers(module, lambda own: inspect.isfunction(own) and own.__module__ == module.__name__)
    assert [own for own, function in functions if ">>>" not in (function.__doc__ or "")] == []
