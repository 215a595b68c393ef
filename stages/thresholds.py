"""The background threshold and where it comes from: a number of the config, or a file of `choose_threshold`."""

from dataclasses import dataclass
from pathlib import Path

from stages.errors import DataError, SettingsError
from stages.files import read_json, write_json
from stages.vocabulary import ThresholdSource


@dataclass(frozen=True)
class Threshold:
    """value: in (0, 1].  source: fixed in the config, auto (chosen without true masks), oracle (on true masks)."""

    value: float
    source: ThresholdSource


def read_threshold(text: str) -> Threshold:
    """A threshold from a command line: a number is fixed, anything else a file's path.

    Raises SettingsError for a number outside (0, 1], DataError for a file that is no threshold.
    """
    try:
        value = float(text)
    except ValueError:
        return _read_file(Path(text))
    if not 0 < value <= 1:
        raise SettingsError(f"--threshold: {value} is not in (0, 1]")
    return Threshold(value, "fixed")


def _read_file(path: Path) -> Threshold:
    content = read_json(path)
    try:
        return Threshold(float(content["threshold"]), content["source"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: holds no threshold ({error}); delete it and rerun `refine`") from error


def write_threshold(path: Path, threshold: Threshold, curve: list[tuple[float, float]], *, criterion: str) -> None:
    """Writes a threshold with the criterion's value at every threshold tried, [threshold, percent]."""
    write_json(
        path,
        {
            "threshold": threshold.value,
            "source": threshold.source,
            "criterion": criterion,
            "curve": [list(point) for point in curve],
        },
    )
