"""A training on true masks is mmsegmentation's own of the same config: nothing of ours changes what is learned."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from stages.files import read_json
from stages.index import Record, write_index
from stages.segment import train
from stages.segment.config import TrainingFiles, train_config
from stages.segment.model import load_segmenter

# Adam divides gradients by their own size, so that rounding of the smallest becomes a whole step.
SGD = {"optimizer": "sgd", "learning_rate": 1e-3}


@pytest.fixture
def png_set(tiny_set):
    """The tiny set with PNG images, which OpenCV and Pillow decode alike (JPEG they do not), in a folder each."""
    images, masks = tiny_set.root / "images", tiny_set.root / "masks"
    images.mkdir()
    masks.mkdir()
    records = []
    for record in tiny_set.records:
        Image.open(tiny_set.root / record.image).save(images / f"{record.id}.png")
        (masks / f"{record.id}.png").write_bytes((tiny_set.root / record.mask).read_bytes())
        records.append(Record(record.id, f"images/{record.id}.png", f"masks/{record.id}.png", record.labels, "train"))
    write_index(tiny_set.index, records)
    return tiny_set


def plain_config(settings, png_set, resolved: dict, weights: Path, work: Path) -> Config:
    """The same training from mmsegmentation's dataset, loading, model class and timm backbone."""
    crop = (settings.training.crop, settings.training.crop)
    files = TrainingFiles(png_set.index, png_set.root, png_set.index, weights, work)
    ours = train_config(settings.training, files, resolved=resolved, classes=png_set.names, seed=3, resume=False)
    dataset = {
        "type": "BaseSegDataset",
        "data_root": str(png_set.root),
        "data_prefix": {"img_path": "images", "seg_map_path": "masks"},
        "img_suffix": ".png",
        "metainfo": {"classes": ("background", *png_set.names)},
        "reduce_zero_label": False,
        "pipeline": [
            {"type": "LoadImageFromFile"},
            {"type": "LoadAnnotations", "imdecode_backend": "pillow"},
            {"type": "RandomScale", "scales": settings.training.scales},
            {"type": "RandomCrop", "crop_size": crop},
            {"type": "RandomFlip", "prob": 0.5},
            {"type": "PhotoMetricDistortion"},
            {"type": "PackSegInputs"},
        ],
    }
    model = dict(resolved["model"], type="EncoderDecoder")
    model["backbone"] = {
        "type": "TIMMBackbone",
        "model_name": settings.network.backbone,
        "output_stride": 16,
        "pretrained": True,
        "out_indices": (1, 4),
        "pretrained_cfg_overlay": {"file": str(weights), "custom_load": False},
    }
    plain = ours.to_dict()
    plain["model"] = model
    plain["train_dataloader"]["dataset"]["dataset"] = dataset
    plain["experiment_name"] += "-plain"
    return Config(plain)


def test_true_masks_train_as_in_plain_mmsegmentation(png_set, make_settings, lite0_weights, tmp_path: Path) -> None:
    settings = make_settings(iterations=2, batch_size=3, scales=(0.8, 1.4), class_weights={"background": 0.5}, **SGD)
    work = tmp_path / "ours" / "work"
    train.run(png_set.options(settings, lite0_weights, work))
    ours = load_segmenter(work.parent / "segmenter.safetensors").model.state_dict()
    resolved = read_json(work.parent / "model.json")
    runner = Runner.from_cfg(plain_config(settings, png_set, resolved, lite0_weights, tmp_path / "plain"))
    plain = runner.train().state_dict()
    start = torch.nn.Module.state_dict(
        Runner.from_cfg(  # what both began with is not what they ended with
            plain_config(settings, png_set, resolved, lite0_weights, tmp_path / "start")
        ).model
    )
    moved = 0
    for name, value in ours.items():
        # Features are chosen by position here and by timm there; all else has one name.
        # Channel means near 0 are sums that cancel; other numbers of threads add them up in another order.
        atol = 1e-4 if name.endswith("running_mean") else 1e-5
        torch.testing.assert_close(value, plain[name], rtol=1e-3, atol=atol, msg=lambda text, n=name: f"{n}: {text}")
        moved += not torch.equal(value, start[name])
    assert moved > 100


def test_png_is_decoded_alike(png_set) -> None:
    path = png_set.root / "images" / f"{png_set.records[0].id}.png"
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], np.asarray(Image.open(path)))
