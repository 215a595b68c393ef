"""Files that are no configs, and names of experiments."""

from pathlib import Path

import pytest
import yaml

from stages.errors import SettingsError
from stages.experiment import read_config, read_experiment, read_settings
from stages.repeated_keys import refuse_repeated_keys
from tests.small_config import demo_config
from tests.test_experiment import CONFIGS

# Each list is nine times the one before: 43 million values in a few lines.
LAUGHS = b"a: &a [x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (name, name, b",".join([b"*%c" % (name - 1)] * 9)) for name in b"bcdefghi"
)


@pytest.mark.parametrize(
    "name", [".", "..", "...", "a/b", "/tmp/a", "a b", "ä", "", "a\n", "../a", "a" * 201, "a\\b", "{x}"]
)
def test_an_experiment_names_a_folder_below_the_results(name: str) -> None:
    with pytest.raises(SettingsError, match=r"^few\.yaml: experiment: must name a folder below results/"):
        read_experiment(demo_config() | {"experiment": name}, source="few.yaml")


@pytest.mark.parametrize("name", ["voc12", "a.b", "..a", "a..", "-1", "_", ".hidden", "a" * 200])
def test_names_that_stay_below_the_results_are_right(name: str) -> None:
    assert read_experiment(demo_config() | {"experiment": name}, source="few.yaml").experiment == name


def test_a_store_is_not_the_results_of_the_experiment() -> None:
    config = demo_config() | {"experiment": "store", "store": "results//store"}
    with pytest.raises(SettingsError, match=r"store: .* is the results folder of this experiment"):
        read_experiment(config, source="few.yaml")


def test_a_name_that_yaml_reads_as_another_type_is_to_be_quoted() -> None:
    config = demo_config() | {"experiment": yaml.safe_load("2024-05-01")}
    with pytest.raises(SettingsError, match=r"valid string \(given: .*\); put it in quotes"):
        read_experiment(config, source="few.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a config has settings by name (`experiment: birds`), but it is empty"),
        (b"# nothing\n---\n", "a config has settings by name (`experiment: birds`), but it is empty"),
        (b"- a\n- b", "a config has settings by name (`experiment: birds`), but it is ['a', 'b']"),
        (b"experiment: caf\xe9", "cannot be read as a config: not UTF-8; save it in UTF-8"),
        ("experiment: demo".encode("utf-16"), "cannot be read as a config: not UTF-8; save it in UTF-8"),
        (b"data: [1\nseed: }", "cannot be read as a config: line 2, column 5 is not YAML (expected ',' or ']'"),
        (b"data:\n\tseed: 1", "cannot be read as a config: line 2, column 1 is not YAML (found character"),
        (b"seed: 1\x00", "cannot be read as a config: not YAML ("),
        (b"a: 2024-13-45", "cannot be read as a config: not YAML (month must be in 1..12"),
        (b'a: !!int ""', "cannot be read as a config: not YAML ("),
        (b"a: !!bool x", "cannot be read as a config: not YAML ("),
        (b"seed: 1\nexperiment: a\nseed: 5", "line 3 gives `seed` again, after line 1, and only the last would count;"),
        (b"segment:\n  predict: [val]\n'segment': {}", "line 3 gives `segment` again, after line 1"),
        (b"data: {demo: {train: 1, train: 2}}", "line 1 gives `train` again, after line 1"),
        (b'{"seed": 1,\n"seed": 2}', "line 2 gives `seed` again, after line 1"),
        (b"data: {classes: !!set {cat, dog}}", "data.classes: no value of a setting is of this type (given: {"),
        (b"experiment: !!binary aGk=", "experiment: no value of a setting is of this type (given: b'hi'); write it as"),
        (b"[" * 2000, "cannot be read as a config: not YAML ("),
        (b"a: &a [*a]", "more than 100000 values, or an alias"),
        (LAUGHS, "more than 100000 values, or an alias"),
        (b"1: 2", "1: "),
        (b"data: " + b"x" * 9999, "data: "),
    ],
)  # fmt: skip
def test_a_file_that_is_no_config_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "few.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        read_config(path)
    lines = str(caught.value).splitlines()
    assert any(line.startswith(f"{path}: {message}") for line in lines)
    assert max(map(len, lines)) < 600


def test_keys_that_merges_repeat_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "few.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: &b {x: 3, <<: *a}\nc: {<<: *b, <<: *a, y: 4}\nd: {x: 1, X: 2}\n")
    assert read_settings(path) == {
        **{"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 1, "y": 4}, "d": {"x": 1, "X": 2}},
    }
    refuse_repeated_keys([path])
    json = tmp_path / "few.json"
    json.write_text('{\n\t"seed": 1\n}')  # JSON, but no YAML: Snakemake reads it
    refuse_repeated_keys([json])


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "few.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + (CONFIGS[0].parent / "demo.yaml").read_bytes())
    assert read_config(path).experiment == "demo"
    with pytest.raises(SettingsError, match="cannot be read as a config: Is a directory"):
        read_config(tmp_path)
