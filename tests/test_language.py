"""What scores say about the text-image model behind them."""

import pytest

from stages.language import language_of
from stages.settings import ClipSettings, EncodeSettings, LocalizeSettings

TOWERS = {"kind": "towers", "learns_from": ["images", "cutouts"]}


@pytest.mark.parametrize(
    ("clip", "words"),
    [
        ({}, "published CLIP ViT-B-16 openai"),
        ({"pretrained": "weights/mine.safetensors"}, "CLIP ViT-B-16 from mine.safetensors"),
        (TOWERS, "packaged towers, learned from cut-outs of the demo and tags of train"),
        (TOWERS | {"learns_from": ["images"]}, "packaged towers, learned from tags of train"),
    ],
)
def test_the_model_is_named_with_what_it_learned_from(clip: dict, words: str) -> None:
    encode = EncodeSettings.model_validate({"clip": {"kind": "pretrained"} | clip})
    assert language_of(encode, LocalizeSettings()) == words
    assert language_of(encode, LocalizeSettings(method=ClipSettings(kind="clip"))) == words


@pytest.mark.parametrize(
    "method",
    [{"kind": "mmcst", "tokens": "visual", "language_context": "none"}, {"kind": "mctformer"}, {"kind": "ts_cam"}],
)
def test_localizers_without_text_owe_nothing_to_it(method: dict) -> None:
    assert language_of(EncodeSettings(), LocalizeSettings.model_validate({"method": method})) == "none"
