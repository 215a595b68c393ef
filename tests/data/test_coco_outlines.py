"""Outlines before they are drawn: run lengths as COCO's own code compresses and reads them, and none that lie."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from pycocotools import mask as rle_masks

from stages.data.coco_outlines import decompressed, encode_outline
from stages.errors import DataError

SIZE = (12, 7)


@bounded(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 1), min_size=84, max_size=84), st.integers(1, 400))
def test_compressed_run_lengths_are_those_of_pycocotools(bits: list[int], longer: int) -> None:
    """`longer`: rows of an image below, so that lengths need several characters."""
    mask = np.zeros((SIZE[0] * longer, SIZE[1]), dtype=np.uint8, order="F")
    mask[: SIZE[0]] = np.array(bits).reshape(SIZE)
    encoded = rle_masks.encode(mask)
    edges = np.flatnonzero(np.diff(mask.flatten(order="F"), prepend=0))
    lengths = np.diff(edges, prepend=0, append=mask.size).tolist()
    assert decompressed(encoded["counts"].decode()) == lengths
    for counts in (encoded["counts"].decode(), lengths, list(map(float, lengths))):
        ours = encode_outline({"size": list(mask.shape), "counts": counts}, mask.shape)
        np.testing.assert_array_equal(rle_masks.decode(ours), mask)


def test_a_length_before_the_first_pixel_and_a_long_one() -> None:
    """By hand: 5 bits a character from the lowest, 32 for more to come; from the fourth on, differences."""
    assert decompressed("") == []
    assert decompressed("0d0") == [0, 20]
    assert decompressed("PQ1") == [1 << 10 | 1 << 5]  # groups 0, 1 and 1
    assert decompressed("1234") == [1, 2, 3, 6]
    assert decompressed("123O") == [1, 2, 3, 1]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ("d0", "run lengths of 20 pixels, but the image has 84"),
        ("d2d0", "run lengths of 104 pixels"),
        ("é", "the character 'é' .* which no run length has"),
        ("0 4", "the character ' '"),
        ("0\x004", r"the character '\\x00'"),
        ("O", "the run length -1 "),
        ("P", "end within a run length"),
        ("o" * 30, "a run length of more than 7 characters"),
        ("\\\\u0030", "the character|run lengths of|the run length"),
        ("", "run lengths of 0 pixels"),
    ],
)
def test_counts_that_do_not_cover_the_image_are_refused(counts: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        encode_outline({"size": list(SIZE), "counts": counts}, SIZE)


WHOLE = [1, 1, 5, 1, 5, 5]


@pytest.mark.parametrize(
    "outline",
    [
        [[[1, 1], [5, 1], [5, 5], [1, 5]], WHOLE],
        [WHOLE, [[1, 1], [5, 1], [5, 5]]],
        [[[1, 1], [5, 1], [5, 5], [1, 5]]],
        [[[1, 1], [5, 1], [5, 5], [3, 6], [1, 5]]],
        [[[1, 1], [5, 1], [5, 5], [5, 6], [3, 6], [1, 5]]],
    ],
)
def test_polygons_of_pairs_are_named_wherever_they_are(outline: list[Any]) -> None:
    with pytest.raises(DataError, match=r"a polygon of lists; COCO's are x, y, x, y, \.\.\. in one list"):
        encode_outline(outline, SIZE)


def test_a_short_polygon_of_anything_else_is_named() -> None:
    with pytest.raises(DataError, match=r"has the polygon \['a', 'b'\]"):
        encode_outline([["a", "b"], WHOLE], SIZE)
    encoded = encode_outline([[1, 1, 5, 5], [], WHOLE], SIZE)  # without area, as in some files
    assert encoded == encode_outline([WHOLE], SIZE)


@bounded(max_examples=50, deadline=None, derandomize=True)
@given(
    st.one_of(
        st.text(alphabet=[chr(code) for code in range(40, 120)], max_size=30),
        st.lists(st.integers(-5, 100) | st.floats() | st.text(max_size=2), max_size=6),
        st.lists(st.lists(st.floats() | st.integers(-9, 99) | st.text(max_size=2) | st.none(), max_size=9), max_size=3),
        st.none() | st.booleans() | st.dictionaries(st.text(max_size=3), st.integers()),
    )
)
def test_any_value_is_an_outline_or_an_error(value: Any) -> None:
    for outline in (value, {"size": list(SIZE), "counts": value}):
        try:
            encoded = encode_outline(outline, SIZE)
        except DataError:
            continue
        assert rle_masks.decode(encoded).shape == SIZE
