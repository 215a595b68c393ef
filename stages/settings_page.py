"""Writes `docs/settings.md`, the reference of every setting, from stages/settings/."""

import argparse
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from stages.files import write_text
from stages.settings import Experiment

PAGE = Path("docs/settings.md")
PLAIN = {int: "whole number", float: "number", str: "text", bool: "true or false", Path: "path"}
HEADER = """# Settings

Every setting of a config. A key that is not here is refused, with the likely right one in the message. Generated from
the models in `stages/settings/` by `python -m stages.settings_page`.

"""


def page_text() -> str:
    """The whole page: a section a model, in the order in which they are reached."""
    lines = [HEADER]
    for path, model in sections(Experiment):
        lines.append(f"## {f'`{path}`' if path else 'At the top'}\n\n{first_words(model)}\n\n")
        lines.append("| setting | value | default | |\n| --- | --- | --- | --- |\n")
        lines += [row(name, field) for name, field in model.model_fields.items()]
        lines.append("\n")
    return "".join(lines).rstrip("\n") + "\n"


def sections(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """A model and those it holds, with their dotted paths; where `kind` chooses, each kind is a section."""
    yield path, model
    for name, field in model.model_fields.items():
        inner = models_of(field.annotation)
        for own in inner:
            kind = own.model_fields.get("kind")
            chosen = f" ({', '.join(map(str, get_args(kind.annotation)))})" if kind and len(inner) > 1 else ""
            yield from sections(own, f"{path}.{name}".lstrip(".") + chosen)


def models_of(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_of(part)]


def row(name: str, field: FieldInfo) -> str:
    """A field as a row of the table."""
    default = field.get_default(call_default_factory=True)
    if models_of(field.annotation):
        shown = "see below"
    elif default is PydanticUndefined:
        shown = "**must be given**"
    else:
        shown = f"`{words_of(default)}`"
    cells = (f"`{name}`", value_words(field.annotation), shown, field.description or "")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def value_words(annotation: Any) -> str:
    """What a setting may be, in words: the choices of a literal, or the kind of value."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return value_words(inner[0])
    if origin is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys("nothing" if part is type(None) else value_words(part) for part in inner))
    if origin in (tuple, list):
        return f"list of {value_words(inner[0])}"
    if origin is dict:
        return f"{value_words(inner[0])} → {value_words(inner[1])}"
    if models_of(annotation):
        return "section"
    return {int: "whole number", float: "number", str: "text", bool: "true or false", Path: "path"}.get(
        annotation, "any"
    )


def words_of(value: Any) -> str:
    """A default as a config would have it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(words_of, value))}]"
    return str(value)


def first_words(model: type[BaseModel]) -> str:
    """The model's docstring as running text."""
    return " ".join((model.__doc__ or "").split())


def run(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=PAGE, help="file to write")
    write_text(parser.parse_args(arguments).output, page_text())


if __name__ == "__main__":
    run()
