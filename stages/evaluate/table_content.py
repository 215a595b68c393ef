"""The content of a table, as the report shows it: `evaluate/<table>.json`."""

from pathlib import Path

from pydantic import ValidationError

from stages.errors import DataError
from stages.files import read_json, write_json
from stages.settings import Strict


class TableContent(Strict):
    """A table: its title, the sentences under it, and columns and rows as text; the first column names the rows."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def write_content(path: Path, content: TableContent) -> None:
    """Writes a table as JSON, atomically."""
    write_json(path, content.model_dump(mode="json"))


def read_content(path: Path) -> TableContent:
    """Reads what `write_content` wrote. Raises DataError when the file is missing or is not a table."""
    try:
        return TableContent.model_validate(read_json(path))
    except ValidationError as error:
        raise DataError(f"{path}: not a table ({error.errors()[0]['msg']}); delete it and rerun `evaluate`") from error
