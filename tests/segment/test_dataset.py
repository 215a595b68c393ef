"""The index as a dataset of mmsegmentation."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from PIL import Image

from stages.errors import DataError
from stages.images import write_mask
from stages.index import Record, write_index
from stages.segment.dataset import IndexedMasks
from stages.segment.transforms import LoadImageAndMask, RandomScale


def make_dataset(tiny_set, masks: list[Path]) -> IndexedMasks:
    paths = [str(folder) for folder in masks]
    return IndexedMasks(index=str(tiny_set.index), root=str(tiny_set.root), classes=tiny_set.names, masks=paths)


def test_true_masks_classes_and_palette(tiny_set) -> None:
    dataset = make_dataset(tiny_set, [])
    assert len(dataset) == 4
    assert dataset.metainfo["classes"] == ("background", "blue", "red")
    # The first colours of PASCAL VOC.
    assert dataset.metainfo["palette"] == [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    assert dataset.get_data_info(2)["seg_map_path"] == str(tiny_set.root / "2.png")
    assert dataset.get_data_info(2)["img_path"] == str(tiny_set.root / "2.jpg")


def test_pseudo_masks_come_from_shard_folders(tiny_set, tmp_path: Path) -> None:
    folders = [tmp_path / "masks" / "0", tmp_path / "masks" / "1"]
    for number, record in enumerate(tiny_set.records):
        write_mask(folders[number % 2] / f"{record.id}.png", np.zeros((60 + number, 72), dtype=np.uint8))
    dataset = make_dataset(tiny_set, folders)
    assert [Path(dataset.get_data_info(k)["seg_map_path"]).parent.name for k in range(4)] == ["0", "1", "0", "1"]
    (folders[1] / "im.3.png").unlink()
    with pytest.raises(DataError, match=r"im\.3\.png"):
        make_dataset(tiny_set, folders)


def test_image_without_true_mask_is_an_error(tiny_set) -> None:
    write_index(tiny_set.index, [Record("one", "0.jpg", "", ("blue",), "train")])
    with pytest.raises(DataError, match="one: the index has no mask"):
        make_dataset(tiny_set, [])
    write_index(tiny_set.index, [Record("one", "0.jpg", "gone.png", ("blue",), "train")])
    with pytest.raises(DataError, match=r"gone\.png: no such mask"):
        make_dataset(tiny_set, [])


def test_loading_checks_sizes_and_labels(tiny_set) -> None:
    def load(mask: np.ndarray) -> dict:
        write_mask(tiny_set.root / "0.png", mask)
        info = {"img_path": tiny_set.root / "0.jpg", "seg_map_path": tiny_set.root / "0.png", "seg_fields": []}
        return LoadImageAndMask(classes=3).transform(info)

    mask = np.full((60, 72), 255, dtype=np.uint8)
    mask[0, 0] = 2
    loaded = load(mask)
    np.testing.assert_array_equal(loaded["gt_seg_map"], mask)
    expected = np.asarray(Image.open(tiny_set.root / "0.jpg"))[..., ::-1]
    np.testing.assert_array_equal(loaded["img"], expected)
    with pytest.raises(DataError, match="mask is 72x59, its image is 72x60"):
        load(mask[1:])
    mask[0, 0] = 3
    with pytest.raises(DataError, match="label 3, but there are 2 classes"):
        load(mask)


def test_random_scale_is_relative_to_the_image() -> None:
    init_default_scope("mmseg")
    image = np.zeros((40, 60, 3), dtype=np.uint8)
    mask = np.zeros((40, 60), dtype=np.uint8)
    results = {"img": image, "img_shape": (40, 60), "gt_seg_map": mask, "seg_fields": ["gt_seg_map"]}
    halved = RandomScale((0.5, 0.5))(results)
    assert halved["img"].shape == (20, 30, 3)
    assert halved["gt_seg_map"].shape == (20, 30)


def test_large_images_are_learned_small(tiny_set) -> None:
    mask = np.zeros((60, 72), dtype=np.uint8)
    mask[:, 36:] = 2
    mask[:2] = 255
    write_mask(tiny_set.root / "0.png", mask)
    info = {"img_path": tiny_set.root / "0.jpg", "seg_map_path": tiny_set.root / "0.png", "seg_fields": []}
    loaded = LoadImageAndMask(classes=3, longest_side=36).transform(info)
    assert loaded["img"].shape == (30, 36, 3)
    assert loaded["img_shape"] == loaded["ori_shape"] == (30, 36)
    np.testing.assert_array_equal(loaded["gt_seg_map"], mask[1::2, 1::2])
