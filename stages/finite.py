"""Numbers that are not finite are told where they arise: nothing writes them, and nothing scores them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stages.errors import DataError


def is_finite(values: Any) -> bool:
    """Whether all numbers of an array or a tensor are finite."""
    # A tensor's own test, since numpy knows no bfloat16, and this module is imported where torch is not.
    return bool(values.isfinite().all()) if hasattr(values, "isfinite") else bool(np.isfinite(values).all())


def check_finite(place: Path | str, arrays: Mapping[str, Any], cure: str) -> None:
    """Raises DataError, which begins with `place`, if an array or a tensor has numbers that are not finite.

    arrays: by what they are called in the message.  cure: what the user can do.

    >>> check_finite("a.npy", {"map": np.array([0.5, np.nan])}, "make it again")
    Traceback (most recent call last):
    stages.errors.DataError: a.npy: map has numbers that are not finite (NaN or infinite): 1 of 2; make it again
    """
    wrong = [name for name, values in arrays.items() if not is_finite(values)]
    if not wrong:
        return
    first = arrays[wrong[0]]
    finite = first.isfinite() if hasattr(first, "isfinite") else np.isfinite(first)
    total = int(np.prod(finite.shape))
    others = f", and {len(wrong) - 1} more like it" if len(wrong) > 1 else ""
    raise DataError(
        f"{place}: {wrong[0]} has numbers that are not finite (NaN or infinite): {total - int(finite.sum())} of"
        f" {total}{others}; {cure}"
    )
