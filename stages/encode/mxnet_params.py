"""Reads MXNet's `.params` files without MXNet, which can no longer be installed.

A file is a list of dense arrays and their names, little-endian: magic 0x112, a reserved word, the count (uint64 each);
the arrays; the count of names, and each name preceded by its length. An array is a header, its shape, its device (two
int32), its type (int32) and its values; one without dimensions stops after its shape and contains nothing. Three
headers are known, depending on MXNet's release: the shape alone with uint32 sides; 0xF993FAC8 and sides of int64;
0xF993FAC9, a storage type (0: dense) and sides of int64.

Source: `NDArray::Save` and `NDArray::Load` in MXNet's src/ndarray/ndarray.cc.
"""

import math
import os
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from stages.errors import DataError

LIST_MAGIC = 0x112
V1_MAGIC = 0xF993FAC8
V2_MAGIC = 0xF993FAC9
TYPES = {0: np.float32, 1: np.float64, 2: np.float16, 3: np.uint8, 4: np.int32, 5: np.int8, 6: np.int64}
MOST_SIDES = 8  # more means that this is another kind of file


def read_params(path: Path) -> dict[str, NDArray]:
    """Arrays by name. Raises DataError if the file is missing, is not such a list, or ends too early."""
    try:
        with path.open("rb") as stream:
            magic, _, count = _numbers(stream, "QQQ")
            if magic != LIST_MAGIC:
                raise ValueError(f"begins with {magic:#x}, not with {LIST_MAGIC:#x}")
            arrays = [_array(stream) for _ in range(count)]
            (names,) = _numbers(stream, "Q")
            if names != count:
                raise ValueError(f"{count} arrays, but {names} names")
            return {_bytes(stream, *_numbers(stream, "Q")).decode("utf-8"): array for array in arrays}
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a .params file") from error
    except ValueError as error:
        raise DataError(f"{path}: not a complete MXNet .params file ({error}); fetch it again") from error


def _array(stream: BinaryIO) -> NDArray:
    (head,) = _numbers(stream, "I")
    if head == V2_MAGIC:
        (storage,) = _numbers(stream, "i")
        if storage != 0:
            raise ValueError(f"a sparse array (storage type {storage})")
    sides = head if head not in (V1_MAGIC, V2_MAGIC) else _numbers(stream, "I")[0]
    if sides > MOST_SIDES:
        raise ValueError(f"an array of {sides} dimensions")
    if sides == 0:
        return np.empty(0, dtype=np.float32)
    shape = _numbers(stream, ("q" if head in (V1_MAGIC, V2_MAGIC) else "I") * sides)
    _device_type, _device, kind = _numbers(stream, "iii")
    if kind not in TYPES or min(shape) < 0:
        raise ValueError(f"an array of type {kind} and shape {shape}")
    values = np.dtype(TYPES[kind]).newbyteorder("<")
    length = math.prod(shape) * values.itemsize
    return np.frombuffer(_bytes(stream, length), dtype=values).reshape(shape)


def _numbers(stream: BinaryIO, form: str) -> tuple[int, ...]:
    return struct.unpack(f"<{form}", _bytes(stream, struct.calcsize(f"<{form}")))


def _bytes(stream: BinaryIO, length: int) -> bytes:
    # Checked before reading: memory would be allocated for a damaged length.
    if length > os.fstat(stream.fileno()).st_size - stream.tell():
        raise ValueError("it ends too early")
    return stream.read(length)
