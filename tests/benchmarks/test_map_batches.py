"""Timing of batches that mix sizes: photos whose sizes all differ, and ratios of both ways."""

import json
from pathlib import Path

from PIL import Image

from benchmarks import map_batches


def test_photos_all_differ_in_size(tmp_path: Path) -> None:
    records = map_batches.write_photos(tmp_path, 100, [])
    sizes = set()
    for record in records:
        with Image.open(tmp_path / record.image) as photo:
            sizes.add(photo.size)
    assert len(sizes) == 100
    assert {(240, 256), (256, 240)} & sizes


def test_writes_the_ratio_of_the_other_way(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.effect_noise((90, 70), 60).save(photos / "own.jpg")
    path = tmp_path / "ratios.json"
    options = ["--images", "4", "--model", "vit_tiny_patch16_224", "--size", "48", "--batch-size", "4", "--pairs", "1"]
    map_batches.run(["--json", str(path), "--photos", str(photos), *options])
    ratios = json.loads(path.read_text())
    (name,) = ratios
    assert name in map_batches.GROUPINGS
    assert ratios[name] > 0
