"""Whatever bytes a config holds: it is an experiment, or one error says what is wrong with it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stages.errors import DataError, SettingsError
from stages.experiment import check_variants, read_config

REPOSITORY = Path(__file__).parents[1]
CONFIGS = [*sorted((REPOSITORY / "configs").glob("*.yaml")), *sorted((REPOSITORY / "tests/configs").glob("*.yaml"))]
LONGEST = 4000  # characters of a line of an error
BOUNDED = settings(
    max_examples=30000,
    deadline=None,
    derandomize=False,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

# Words that YAML or a config gives a meaning.
WORDS = st.sampled_from([
    b"experiment: ", b"data:\n  ", b"classes: ", b"kind: ", b"null", b"~", b"<<: *a\n", b"&a ", b"*a", b"!!int ",
    b"!!binary ", b"!!timestamp ", b"!!set ", b"[", b"]", b"{", b"}", b"? ", b": ", b"\n", b"\t", b"- ", b"|\n",
    b"'", b'"', b"%YAML ", b"---\n", b".nan", b".inf", b"0x", b"1_000", b"2024-99-01", b"1:61:61",
    b"\xef\xbb\xbf", b"\xff", b"\x00", b"\xe2\x80\xa8",
])  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.dates() | st.binary(max_size=5)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3), max_leaves=6
)


def check(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    fault = ""
    try:
        check_variants(read_config(path), source=str(path))
    except (SettingsError, DataError) as error:
        fault = str(error)
    assert fault.startswith(f"{path}: ") or not fault
    assert max(map(len, fault.splitlines()), default=0) < LONGEST


@BOUNDED
@given(content=st.binary(max_size=200) | st.lists(WORDS | st.binary(max_size=3), max_size=30).map(b"".join))
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    check(tmp_path / "few.yaml", content)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
@settings(BOUNDED, max_examples=300)
@given(data=st.data())
def test_a_config_with_bytes_changed(tmp_path: Path, config: Path, data: st.DataObject) -> None:
    content = config.read_bytes()
    start = data.draw(st.integers(0, len(content)))
    stop = data.draw(st.integers(start, min(len(content), start + 40)))
    check(tmp_path / "few.yaml", content[:start] + data.draw(WORDS | st.binary(max_size=5)) + content[stop:])


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The paths of all values in a config."""
    if isinstance(value, dict):
        return [path, *(found for key, inner in value.items() for found in places(inner, (*path, key)))]
    if isinstance(value, list):
        return [path, *(found for key, inner in enumerate(value) for found in places(inner, (*path, key)))]
    return [path]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
@settings(BOUNDED, max_examples=300)
@given(data=st.data())
def test_a_config_with_a_value_changed(tmp_path: Path, config: Path, data: st.DataObject) -> None:
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    *parents, last = data.draw(st.sampled_from(places(content)[1:]))
    branch = content
    for parent in parents:
        branch = branch[parent]
    if isinstance(branch, dict) and data.draw(st.booleans()):
        branch[data.draw(SCALARS)] = branch.pop(last)
    else:
        branch[last] = data.draw(VALUES)
    check(tmp_path / "few.yaml", yaml.safe_dump(content, allow_unicode=True).encode("utf-8", "surrogatepass"))
