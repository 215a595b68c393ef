"""labelme's shapes by hand-worked pixels."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.mask_formats.labelme import read_labelme

SIZE = (8, 10)


def drawn(folder: Path, *shapes: dict) -> list[list[int]]:
    (folder / "a.json").write_text(json.dumps({"shapes": shapes, "imageHeight": 8, "imageWidth": 10}))
    return read_labelme(folder / "a.json", SIZE, ("cat", "dog")).tolist()


def expected(rows: slice, columns: slice, value: int = 1) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=np.uint8)
    mask[rows, columns] = value
    return mask


def test_a_polygon_covers_all_pixels_that_it_touches(tmp_path: Path) -> None:
    shape = {"label": "cat", "points": [[2.9, 1.0], [5.1, 1.5], [5.0, 3.9], [2.0, 3.0]]}
    assert drawn(tmp_path, shape) == expected(slice(1, 4), slice(2, 6)).tolist()


def test_a_rectangle_may_be_drawn_from_any_corner(tmp_path: Path) -> None:
    for points in ([[2, 1], [5, 3]], [[5, 3], [2, 1]], [[2, 3], [5, 1]]):
        shape = {"label": "dog", "points": points, "shape_type": "rectangle"}
        assert drawn(tmp_path, shape) == expected(slice(1, 4), slice(2, 6), 2).tolist()


def test_a_circle_is_its_centre_and_a_point_of_its_edge(tmp_path: Path) -> None:
    shape = {"label": "cat", "points": [[4, 4], [4, 6]], "shape_type": "circle"}
    mask = np.array(drawn(tmp_path, shape))
    assert mask[4].tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0, 0]
    assert mask[:, 4].tolist() == [0, 0, 1, 1, 1, 1, 1, 0]


def test_a_stored_mask_has_its_place(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.array([[0, 255, 255], [255, 0, 255]], dtype=np.uint8)).save(buffer, "PNG")
    stored = base64.b64encode(buffer.getvalue()).decode()
    shape = {"label": "cat", "points": [[4, 2], [6, 3]], "shape_type": "mask", "mask": stored}
    mask = np.zeros(SIZE, dtype=np.uint8)
    mask[2, 5:7] = mask[3, [4, 6]] = 1
    assert drawn(tmp_path, shape) == mask.tolist()


@pytest.mark.parametrize(("name", "value"), [("ignore", 255), ("__ignore__", 255), ("255", 255), ("_background_", 0)])
def test_later_shapes_cover_earlier_ones(tmp_path: Path, name: str, value: int) -> None:
    cat = {"label": "cat", "points": [[0, 0], [9, 7]], "shape_type": "rectangle"}
    other = {"label": name, "points": [[2, 1], [5, 3]], "shape_type": "rectangle"}
    mask = expected(slice(0, 8), slice(0, 10))
    mask[1:4, 2:6] = value
    assert drawn(tmp_path, cat, other) == mask.tolist()
