"""YAML in which a section names a setting twice: PyYAML, and so Snakemake, keeps the last without a word."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from stages.errors import SettingsError

MERGE = "tag:yaml.org,2002:merge"  # `<<`, which may be repeated


class RepeatedKeyError(ValueError):
    """A key that stands twice in a section. Its text names the key and both lines."""


class UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML's SafeLoader, but raises RepeatedKeyError for a key that stands twice in one section."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Checks keys as they are written: later, those that `<<` merges are among them."""
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE:
                continue
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in lines:
                raise RepeatedKeyError(
                    f"line {line} gives `{key.value}` again, after line {lines[name]}, and only the last would count;"
                    " leave one of them"
                )
            lines[name] = line
        return node


def refuse_repeated_keys(paths: Iterable[Path]) -> None:
    """Raises SettingsError if a config that Snakemake has read names a setting twice in one section."""
    for path in paths:
        try:
            yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=UniqueKeyLoader)
        except RepeatedKeyError as error:
            raise SettingsError(f"{path}: {error}") from error
        except (OSError, ValueError, yaml.YAMLError):
            continue  # JSON with tabs, say, which is no YAML: Snakemake could read it
