"""Predictions of a shard, and how they are made."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stages.errors import DataError
from stages.images import read_mask, voc_palette
from stages.index import read_index, write_classes
from stages.labelling import best_enlarged
from stages.segment import predict_shard
from stages.segment.inference import class_probabilities, predict_images
from stages.segment.labels import mask_of
from stages.segment.model import load_segmenter


def options(tiny_set, settings, segmenter: Path, output: Path, shard: int) -> list[str]:
    return [
        *("--settings", settings.model_dump_json(), "--index", str(tiny_set.index), "--root", str(tiny_set.root)),
        *("--classes", str(tiny_set.classes), "--segmenter", str(segmenter), "--output", str(output)),
        *("--shard", str(shard), "--shards", "2"),
    ]


def test_masks_have_the_size_of_their_images_and_the_palette(tiny_set, make_settings, segmenter_file, tmp_path) -> None:
    settings = make_settings(inference={"scales": [0.75, 1.25], "flip": True})
    predict_shard.run(options(tiny_set, settings, segmenter_file, tmp_path / "predictions" / "1", 1))
    written = sorted((tmp_path / "predictions" / "1").iterdir())
    assert [path.name for path in written] == ["im.1.png", "im.3.png"]
    for path, rows in zip(written, (61, 63), strict=True):
        with Image.open(path) as mask:
            assert mask.mode == "P"
            assert mask.size == (72, rows)
            assert mask.getpalette()[:9] == voc_palette()[:9]
            assert set(np.unique(np.array(mask))) <= {0, 1, 2}


def test_processes_write_the_masks_of_the_crf(tiny_set, make_settings, segmenter_file, tmp_path) -> None:
    settings = make_settings(inference={"crf": {"iterations": 3}})
    words = options(tiny_set, settings, segmenter_file, tmp_path / "predictions" / "0", 0)
    predict_shard.run([*words, "--processes", "2"])
    segmenter, records = load_segmenter(segmenter_file), read_index(tiny_set.index)
    expected = {
        image_id: mask_of(image, probabilities, settings.inference.crf)
        for image_id, image, probabilities in predict_images(
            segmenter, records[::2], tiny_set.root, settings.inference, tags=False
        )
    }
    written = {path.stem: read_mask(path) for path in (tmp_path / "predictions" / "0").iterdir()}
    assert written.keys() == expected.keys()
    for image_id, mask in written.items():
        np.testing.assert_array_equal(mask, expected[image_id])


def test_scores_are_probabilities_and_flip_averaging_commutes_with_mirroring(make_settings, build) -> None:
    model = build(make_settings()).eval()
    image = torch.randint(0, 256, (3, 48, 64), dtype=torch.uint8)
    for scales in ([1.0], [0.5, 1.5]):
        settings = make_settings(inference={"scales": scales, "flip": True})
        scores = class_probabilities(model, image, settings.inference)
        torch.testing.assert_close(scores.sum(dim=0), torch.ones(48, 64))
        mirrored = class_probabilities(model, image.flip(-1), settings.inference)
        torch.testing.assert_close(mirrored.flip(-1), scores, rtol=0, atol=1e-5)


def test_one_scale_is_the_plain_model(make_settings, build) -> None:
    settings = make_settings()
    model = build(settings).eval()
    image = torch.randint(0, 256, (3, 48, 64), dtype=torch.uint8)
    with torch.inference_mode():
        logits = model.encode_decode(image[None] / 127.5 - 1, [{"img_shape": torch.Size((48, 64))}])
    scores = class_probabilities(model, image, settings.inference)
    torch.testing.assert_close(scores, logits[0].softmax(dim=0), rtol=0, atol=1e-5)


def test_other_classes_are_an_error(tiny_set, make_settings, segmenter_file, tmp_path) -> None:
    write_classes(tiny_set.classes, ["blue", "green"])
    with pytest.raises(DataError, match="green"):
        predict_shard.run(options(tiny_set, make_settings(), segmenter_file, tmp_path / "predictions", 0))
    assert not (tmp_path / "predictions").exists()


def test_the_largest_score_over_scales_and_mirror_is_taken_where_asked(make_settings, build) -> None:
    model = build(make_settings()).eval()
    image = torch.randint(0, 256, (3, 48, 64), dtype=torch.uint8)
    views = [
        class_probabilities(model, image, make_settings(inference={"scales": [1.0]}).inference),
        class_probabilities(model, image, make_settings(inference={"scales": [1.5]}).inference),
        class_probabilities(model, image.flip(-1), make_settings(inference={"scales": [1.0]}).inference).flip(-1),
        class_probabilities(model, image.flip(-1), make_settings(inference={"scales": [1.5]}).inference).flip(-1),
    ]
    largest = torch.stack(views).amax(dim=0)
    settings = make_settings(inference={"scales": [1.0, 1.5], "flip": True, "fusion": "max"})
    fused = class_probabilities(model, image, settings.inference)
    torch.testing.assert_close(fused, largest / largest.sum(dim=0), rtol=0, atol=1e-5)
    mean = class_probabilities(model, image, settings.inference.model_copy(update={"fusion": "mean"}))
    torch.testing.assert_close(mean, torch.stack(views).mean(dim=0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("inference", [{}, {"crf": {"iterations": 3}}])
def test_large_images_are_predicted_small_and_their_masks_are_large(
    tiny_set, make_settings, segmenter_file, tmp_path, inference
) -> None:
    settings = make_settings(inference=inference)
    words = options(tiny_set, settings, segmenter_file, tmp_path / "predictions", 0)
    predict_shard.run([*words, "--longest-side", "36"])
    assert read_mask(tmp_path / "predictions/im.0.png").shape == (60, 72)
    segmenter, records = load_segmenter(segmenter_file), read_index(tiny_set.index)
    (predicted,) = predict_images(
        segmenter, records[:1], tiny_set.root, settings.inference, tags=False, longest_side=36
    )
    assert predicted[1].shape == (30, 36, 3)
    assert predicted[2].shape == (3, 30, 36)
    if not inference:
        enlarged = best_enlarged(predicted[2], (60, 72))
        np.testing.assert_array_equal(read_mask(tmp_path / "predictions/im.0.png"), enlarged)
    whole = options(tiny_set, settings, segmenter_file, tmp_path / "whole", 0)
    predict_shard.run(whole)
    predict_shard.run([*whole[:-6], "--output", str(tmp_path / "same"), *whole[-4:], "--longest-side", "72"])
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "same" / path.name).read_bytes()
