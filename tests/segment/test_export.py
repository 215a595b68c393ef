"""Export for programs without tagmask."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from stages.errors import DataError
from stages.segment import export
from stages.segment.architecture import build_model, model_config
from stages.segment.inference import class_probabilities
from stages.segment.model import Segmenter, load_segmenter
from stages.settings import InferenceSettings

CLASSES = ("blue", "red")
MODELS = [
    {"model": "deeplabv3plus"},
    {"model": "deeplabv2", "backbone": "resnet18", "decoder_channels": None},
    {"model": "deeplabv1", "backbone": "resnet18"},
    {"model": "segformer", "backbone": "mit_b0", "output_stride": None},
    {"model": "upernet", "backbone": "test_convnext"},
    {"model": "vit_linear", "backbone": "test_vit", "decoder_channels": None},
    {"model": "vit_mask_tokens", "backbone": "test_vit"},
]
# Torch's exporter to ONNX fixes sizes of MiT's attention, and lacks what resamples positions of ViTs.
TORCHSCRIPT_ONLY = ("segformer", "upernet", "vit_linear", "vit_mask_tokens")


def spread(model: torch.nn.Module) -> torch.nn.Module:
    """Random weights give nearly equal scores; spread, each pixel has a class that rounding does not change."""
    for name, parameter in model.named_parameters():
        if name.startswith(("decode_head.conv_seg", "decode_head.branches")):
            parameter.data *= 30
    return model.eval()


@pytest.mark.parametrize("suffix", [".onnx", ".pt"])
@pytest.mark.parametrize("changes", MODELS, ids=lambda changes: changes["model"])
def test_every_model_gives_the_same_masks(make_settings, tmp_path: Path, changes: dict, suffix: str) -> None:
    if changes["model"] in TORCHSCRIPT_ONLY and suffix == ".onnx":
        pytest.skip("refused: see the next test")
    torch.manual_seed(0)
    segmenter = Segmenter(spread(build_model(model_config(make_settings(**changes), CLASSES))), CLASSES)
    path = tmp_path / f"segmenter{suffix}"
    share = export.export(segmenter, path, list(export.example_images(None)))
    assert share <= 1e-4
    image = torch.randint(0, 256, (2, 3, 90, 130)).float()  # another size, and two at once
    program = export.FORMATS[suffix][1](path)
    for one, scores in zip(image, program(image), strict=True):
        expected = class_probabilities(segmenter.model, one, InferenceSettings())
        torch.testing.assert_close(scores, expected, rtol=0, atol=1e-3)


def test_segformer_as_onnx_is_refused_and_torchscript_named(make_settings, tmp_path: Path) -> None:
    # Torch's tracing exporter fixes the size of MiT's attention, which is found out by running it at other sizes.
    config = model_config(make_settings(model="segformer", backbone="mit_b0", output_stride=None), CLASSES)
    segmenter = Segmenter(spread(build_model(config)), CLASSES)
    with pytest.raises(DataError, match=r"(?s)the export does not run .*try the other of"):
        export.export(segmenter, tmp_path / "s.onnx", list(export.example_images(None)))
    assert not list(tmp_path.iterdir())


def test_command_and_what_onnxruntime_sees(segmenter_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    photo = np.random.default_rng(0).integers(0, 256, (70, 50, 3), dtype=np.uint8)
    Image.fromarray(photo).save(folder / "a.png")
    path = tmp_path / "segmenter.onnx"
    export.run(["--segmenter", str(segmenter_file), "--output", str(path), "--images", str(folder)])
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_inputs()] == ["image"]
    pixels = photo.transpose(2, 0, 1)[None].astype(np.float32)
    scores = session.run(["probabilities"], {"image": pixels})[0][0]
    model = load_segmenter(segmenter_file).model
    expected = class_probabilities(model, torch.from_numpy(pixels[0]), InferenceSettings())
    np.testing.assert_allclose(scores, expected.numpy(), atol=1e-4)


def test_an_export_that_differs_is_not_written(
    segmenter_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = load_segmenter(segmenter_file)
    write = export.write_torchscript
    wrong = lambda deployed, path: write(export.Deployed(Segmenter(shifted, CLASSES)).eval(), path)  # noqa: E731
    shifted = load_segmenter(segmenter_file).model
    shifted.decode_head.conv_seg.bias.data[1] += 9  # all blue
    monkeypatch.setitem(export.FORMATS, ".pt", (wrong, export.read_torchscript))
    with pytest.raises(DataError, match="differ from the segmenter's in"):
        export.export(segmenter, tmp_path / "s.pt", list(export.example_images(None)))
    assert not (tmp_path / "s.pt").exists()
    with pytest.raises(DataError, match="must end in"):
        export.run(["--output", "segmenter.tflite", "--segmenter", str(segmenter_file)])


def test_a_segmenter_that_gives_no_numbers_is_not_exported(segmenter_file: Path, tmp_path: Path) -> None:
    segmenter = load_segmenter(segmenter_file)
    segmenter.model.decode_head.conv_seg.bias.data[1] = torch.nan
    with pytest.raises(DataError, match="segmenter: a probability has numbers that are not finite"):
        export.export(segmenter, tmp_path / "s.pt", [np.zeros((40, 50, 3), dtype=np.uint8)])
    assert not (tmp_path / "s.pt").exists()
