"""Files whose path is written in another way: what to look for where a path leads nowhere."""

import unicodedata
from pathlib import Path


def near_file(path: Path) -> str:
    """Says where the file of a missing path is, if only separators (`\\`), the Unicode form of a name (macOS decomposes
    letters with accents) or the case of an extension differ; empty if it is not there either."""
    found = Path(path.anchor)
    for part in Path(str(path).replace("\\", "/")).parts[bool(path.anchor) :]:
        nearer = next((found / name for name in _spellings(part) if _exists(found / name)), None)
        if nearer is None:
            return ""
        found = nearer
    if found == path or not found.is_file():
        return ""
    reasons = []
    if "\\" in str(path):
        reasons.append("write `/` for `\\`")
    if str(path).replace("\\", "/") != str(found):
        same = unicodedata.normalize("NFC", str(path).replace("\\", "/")) == unicodedata.normalize("NFC", str(found))
        reasons.append("copy its name from the file: its letters are in another Unicode form" if same else "mind case")
    return f"there is {found}: {' and '.join(reasons)}"


def _spellings(name: str) -> list[str]:
    stem, dot, suffix = name.rpartition(".")
    cases = [name, *(f"{stem}{dot}{other}" for other in (suffix.lower(), suffix.upper()) if stem)]
    composed = [unicodedata.normalize("NFC", case) for case in cases]
    decomposed = [unicodedata.normalize("NFD", case) for case in cases]
    return list(dict.fromkeys([*cases, *composed, *decomposed]))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False
