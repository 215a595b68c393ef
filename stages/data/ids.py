"""Image ids: later stages write files of these names."""

import hashlib
import unicodedata
from pathlib import PurePosixPath

LONGEST_NAME = 255  # bytes, on the usual file systems
ADDED = len(".-12345678.png")  # to an id, while `atomic_path` writes its mask
LONGEST_ID = LONGEST_NAME - ADDED
HASH = 16  # hexadecimal digits at the end of a shortened id


def id_of(image: str) -> str:
    """The id of the image at a path below the root: `beach/01.jpg` is `beach_01`. One that is too long for a file's
    name is cut, and ends in a hash of the whole, so that it is the same everywhere and unlike all others."""
    whole = PurePosixPath(image).with_suffix("").as_posix().replace("/", "_")
    if len(_bytes(whole)) <= LONGEST_ID:
        return whole
    start = _bytes(whole)[: LONGEST_ID - HASH - 1].decode("utf-8", errors="ignore")
    return f"{start}-{hashlib.sha256(_bytes(whole)).hexdigest()[:HASH]}"


def id_fault(name: str) -> str:
    """What is wrong with an id, with the cure; empty if files can have its name."""
    shown = repr(name) if len(name) <= LONGEST_ID else f"{name[:40]!r}..."
    start = f"{shown}: an id names files, so it must not"
    if not name or "/" in name or name in (".", ".."):
        return f"{start} be empty, `.` or `..`, or contain `/`; rename it"
    odd = next((sign for sign in name if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp")), None)
    if odd is not None:
        return f"{start} contain control characters or half a character ({odd!r}); rename it"
    if len(_bytes(name)) > LONGEST_ID:
        return f"{start} have more than {LONGEST_ID} bytes, but it has {len(_bytes(name))}; shorten it"
    return ""


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", errors="surrogatepass")
