"""What a file that should hold weights is instead, from its first bytes, and what to do. Imports nothing heavy."""

import codecs
import json
import re
import struct
import zipfile
from pathlib import Path

HEAD = 1024  # bytes that are looked at
LEAST = 9  # bytes; a file that is shorter holds no tensor
LFS = b"version https://git-lfs"
HEADERS = 100_000_000  # bytes; safetensors allows no longer header
# What formats begin with.
BEGINNINGS = (
    (b"\x1f\x8b", "a gzip archive; unpack it"),
    (b"BZh", "a bzip2 archive; unpack it"),
    (b"\xfd7zXZ", "an xz archive; unpack it"),
    (b"7z\xbc\xaf", "a 7-Zip archive; unpack it"),
    (b"Rar!", "a RAR archive; unpack it"),
    (b"\x89HDF", "an HDF5 file, as of Keras; save its tensors with torch.save or safetensors"),
    (b"\x93NUMPY", "a NumPy array; save a state dict with torch.save or safetensors"),
    (b"\x12\x01\x00\x00", "an MXNet .params file; only those of ResNet38 are read"),
    (b"GGUF", "a GGUF file; give .safetensors or .pth"),
    (b"%PDF", "a PDF document; fetch the weights themselves"),
    (b"\x89PNG", "a PNG image; name the file of the weights"),
    (b"\xff\xd8\xff", "a JPEG image; name the file of the weights"),
    (b"RIFF", "a RIFF file, such as a WebP image; name the file of the weights"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive; unpack it"),
    (b"SQLite format 3", "an SQLite database; name the file of the weights"),
    (b"MATLAB", "a MATLAB file; save a state dict with torch.save or safetensors"),
    (b"\x7fELF", "a program; name the file of the weights"),
)
TENSORS = "save its tensors as a state dict with torch.save or safetensors"
# What formats have further on: the place, and what is there.
LATER = (
    (257, b"ustar", "a tar archive; unpack it and name the file of the weights in it"),
    (4, b"TFL3", f"a TensorFlow Lite model; {TENSORS}"),
)
# How messages of protocol buffers begin, by the number and kind of their first fields. `.` is a length or a number.
MESSAGES = (
    (rb"\x08\x01\x12", f"a TensorFlow SavedModel; {TENSORS}"),
    (rb"\x08[\x02-\x20][\x12\x1a\x22\x2a\x3a\x42]", f"an ONNX model; {TENSORS}"),
    (rb"\x0a.[\x01-\x7f]?\x0a.[\w./:-]+\x12", f"a TensorFlow graph (.pb); {TENSORS}"),
)


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do; its end may be missing."""
    with path.open("rb") as stream:
        head = stream.read(9)
    return not head.startswith((b"PK", b"\x80")) and head[8:9] == b"{"


def other_kind(path: Path) -> str:
    """What the file at `path` is if it can be no weights, with the cure; empty if it may be.

    Cut files of torch and safetensors are told from their lengths.
    """
    if path.is_dir():
        return "a folder; name the file in it that holds the weights"
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    if not head:
        return "an empty file; fetch it again"
    if head.startswith(LFS):
        return "a Git LFS pointer, not the file itself; run `git lfs pull` where it comes from, or download it"
    start = _as_utf8(head).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page, as servers send in place of a file (to log in or to confirm); download it in a browser"
    if start.startswith(b'{"error') or start.startswith(b"access denied"):
        return "the error message of a server; download the file again"
    if known := _known(head):
        return known
    if not any(head.strip(b"\0")):
        return "nothing but zeros at its beginning, as of a broken download; fetch it again"
    if head.startswith(b"PK"):
        return _zip_kind(path)
    return _cut_safetensors(head, size, path) or (
        f"cut short or damaged (bytes: {size}); fetch it again" if size < LEAST else ""
    )


def _as_utf8(head: bytes) -> bytes:
    """The beginning of a text in UTF-16 as UTF-8; other beginnings as they are."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", errors="replace").encode()
    if head.startswith((b"<\0", b"\0<")):
        return head.replace(b"\0", b"")
    return head


def _known(head: bytes) -> str:
    """What a file is by the marks of its format, with the cure; empty if it has none."""
    if head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] <= HEADERS:  # safetensors, of which a length comes first
        return ""
    marks = ((0, magic, kind) for magic, kind in BEGINNINGS)
    named = next((kind for place, magic, kind in (*marks, *LATER) if head[place:].startswith(magic)), "")
    return named or next((kind for pattern, kind in MESSAGES if re.match(pattern, head, re.DOTALL)), "")


def _zip_kind(path: Path) -> str:
    """Torch's files are zip archives with `data.pkl`; TorchScript's hold code as well."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return f"cut short or damaged ({size:,} bytes): its end is missing; fetch it again"
    last = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in last:
        return (
            "a TorchScript archive, which is a program; save its tensors where you trust it: torch.save(torch.jit.load("
            f"{path.name!r}, map_location='cpu').state_dict(), 'weights.pth')"
        )
    if "data.pkl" in last:
        return ""
    if any(name.endswith(".npy") for name in last):
        return "NumPy arrays (.npz); save a state dict with torch.save or safetensors"
    shown = ", ".join(sorted(names)[:3])
    return f"a zip archive of {shown or 'nothing'}; unpack it and name the file of the weights in it"


def _cut_safetensors(head: bytes, size: int, path: Path) -> str:
    length = struct.unpack("<Q", head[:8])[0] if len(head) > 8 else 0
    if not 2 <= length <= HEADERS or head[8:9] != b"{":
        text = _text(head)
        return f"a text ({text[:30]!r} ...); name the file of the weights" if text else ""
    with path.open("rb") as stream:
        stream.seek(8)
        header = stream.read(length)
    try:
        entries = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"]
        whole = 8 + length + max(ends, default=0)
    except (ValueError, KeyError, TypeError, LookupError, AttributeError, RecursionError):
        return f"cut short or damaged ({size:,} bytes); fetch it again" if len(header) < length else ""
    return f"cut short: {size:,} of {whole:,} bytes; fetch it again" if size < whole else ""


def _text(head: bytes) -> str:
    """The beginning of a file as text, in one line; empty if it is none."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(_as_utf8(head))  # whose last character may be cut
    except UnicodeDecodeError:
        return ""
    words = " ".join(text.split())
    return words if words.isprintable() else ""
