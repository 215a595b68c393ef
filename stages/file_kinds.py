"""What a file that should hold weights is instead, from its first bytes, and what to do. Imports nothing heavy."""

import json
import struct
import zipfile
from pathlib import Path

HEAD = 1024  # bytes that are looked at
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
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page, as servers send in place of a file (to log in or to confirm); download it in a browser"
    if start.startswith(b'{"error') or start.startswith(b"access denied"):
        return "the error message of a server; download the file again"
    known = next((kind for magic, kind in BEGINNINGS if head.startswith(magic)), "")
    if known:
        return known
    if not any(head.strip(b"\0")):
        return "nothing but zeros at its beginning, as of a broken download; fetch it again"
    return _zip_kind(path) if head.startswith(b"PK") else _cut_safetensors(head, size, path)


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
        text = head.isascii() and head.decode("ascii").isprintable()
        return f"a text ({head[:30].decode('ascii')!r} ...); name the file of the weights" if text else ""
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
