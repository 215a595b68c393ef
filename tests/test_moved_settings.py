"""Configs of earlier versions: each old key gets an error that names the new one."""

import pytest

from stages.setting_faults import all_paths
from stages.settings import Experiment
from stages.settings.moved import MOVED
from tests.small_config import change, demo_config, message_of


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (
            "localize.tokens",
            "visual",
            "localize.tokens: is now `localize.method.tokens` (given: 'visual'); move it there",
        ),
        ("localize.method", "cam", "localize.method: now holds the method's settings (given: 'cam')"),
        ("localize.method", "cam", "write `method: {kind: cam}`"),
        (
            "localize.mctformer",
            {"version": "v2"},
            "localize.mctformer: is now `localize.method` with `kind: mctformer`",
        ),
        ("segment.backbone", "resnet18", "segment.backbone: is now `segment.network.backbone`"),
        ("segment.crop", 64, "segment.crop: is now `segment.training.crop` (given: 64)"),
        ("segment.test_scales", [1.0], "segment.test_scales: is now `segment.inference.scales`"),
    ],
)
def test_settings_of_earlier_versions_name_their_new_key(path: str, value: object, words: str) -> None:
    assert words in message_of(change(demo_config(), path, value))


def test_every_moved_setting_is_one_now() -> None:
    known = set(all_paths(Experiment))
    for old, new in MOVED.items():
        assert old not in known
        assert new.split("`")[0] in known
