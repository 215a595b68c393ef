"""The variants of `clip` as localizers: attention, proxies and windows, from settings to maps, and as files."""

import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from stages.errors import SettingsError
from stages.localize.checkpoint import build_localizer, load_localizer, save_localizer
from stages.localize.clip_similarity import ClipSimilarity
from stages.networks.towers.build import build_image_tower
from stages.settings import ClipSettings, LocalizeSettings, MapSettings, PretrainedClip, TowerClip
from tests.localize.conftest import CLASSES, TOWER

NO_MAPS = MapSettings()
CNN = TowerClip.model_validate(TOWER)
VIT = PretrainedClip(model="tiny-dense-vit", pretrained="weights.safetensors")
FINER = {"model": "test_vit", "beta": 1.0}  # patches of 16 pixels
CNN_PROXY = {"model": "test_efficientnet", "strides": [8, 16]}
VARIANTS: dict[str, dict[str, Any]] = {
    "self": {"attention": "self"},
    "proxy": {"attention": "proxy", "proxy": FINER},
    "proxy of a cnn": {"attention": "proxy", "proxy": CNN_PROXY},
    "windows": {"window": 64, "step": 32},
    "self in windows": {"attention": "self", "window": 64, "step": 32},
    "proxy in windows": {"attention": "proxy", "proxy": FINER, "window": 64, "step": 32},
}
# A timm ViT as tower, which pools its patches by an attention.
SIGLIP = PretrainedClip(model="tiny-dense-siglip", pretrained="weights.safetensors")
OF_CNN = [name for name in VARIANTS if "self" not in name]


@pytest.fixture(scope="module", autouse=True)
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("open_clip")
    vision = {"image_size": 64, "patch_size": 32, "width": 64, "head_width": 16, "layers": 2}
    text = {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1}
    (folder / "tiny-dense-vit.json").write_text(json.dumps({"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}))
    siglip = {"timm_model_name": "test_vit3", "timm_pool": "map", "timm_proj": "none"}
    config = {"embed_dim": 96, "vision_cfg": siglip, "text_cfg": text | {"width": 96}}
    (folder / "tiny-dense-siglip.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


def settings_of(**method: Any) -> LocalizeSettings:
    return LocalizeSettings.model_validate({"method": {"kind": "clip", **method}})


def localizer_of(tower: PretrainedClip | TowerClip = VIT, **method: Any) -> ClipSimilarity:
    torch.manual_seed(0)
    text = torch.randn(len(CLASSES), 96 if tower == SIGLIP else 16)
    localizer = ClipSimilarity(settings_of(**method), text, None, tower=tower.model_dump()).eval()
    if tower == SIGLIP:
        torch.manual_seed(1)
        for own in localizer.tower.parameters():
            own.add_(0.1 * torch.randn_like(own))  # a new one scales what its blocks add down to nothing
    return localizer


def images(rows: int = 96, columns: int = 160) -> torch.Tensor:
    return torch.randn(2, 3, rows, columns, generator=torch.Generator().manual_seed(3))


def variants() -> list[Any]:
    pairs = [(tower, name) for tower in (VIT, SIGLIP) for name in VARIANTS] + [(CNN, name) for name in OF_CNN]
    names = {VIT: "vit", SIGLIP: "siglip", CNN: "cnn"}
    return [pytest.param(tower, VARIANTS[name], id=f"{names[tower]}-{name}") for tower, name in pairs]


@pytest.mark.parametrize(("tower", "method"), variants())
def test_maps_and_scores(tower: PretrainedClip | TowerClip, method: dict[str, Any]) -> None:
    localizer, plain = localizer_of(tower, **method), localizer_of(tower)
    with torch.inference_mode():
        located, expected = localizer.locate(images(), NO_MAPS), plain.locate(images(), NO_MAPS)
    assert located.maps.shape[:2] == expected.maps.shape[:2]
    assert (located.maps >= 0).all()
    assert torch.isfinite(located.maps).all()
    assert located.maps.max() > 0
    # The image as a whole is seen as ever; its patches are not.
    torch.testing.assert_close(located.scores, expected.scores)
    resized = F.interpolate(located.maps, size=expected.maps.shape[2:], mode="bilinear")
    assert not torch.allclose(resized, expected.maps, atol=1e-4)
    assert not [name for name, own in localizer.named_parameters() if own.requires_grad]


@pytest.mark.parametrize("name", VARIANTS)
def test_the_file_is_whole(name: str, tmp_path: Path) -> None:
    localizer = localizer_of(VIT, **VARIANTS[name])
    save_localizer(tmp_path / "localizer.safetensors", localizer, CLASSES)
    again, _ = load_localizer(tmp_path / "localizer.safetensors", localizer.settings)
    assert again.settings.method == localizer.method
    torch.testing.assert_close(again.locate(images(), NO_MAPS).maps, localizer.locate(images(), NO_MAPS).maps)


@pytest.mark.parametrize("tower", [VIT, CNN], ids=["vit", "cnn"])
@pytest.mark.parametrize("attention", [{}, {"attention": "proxy", "proxy": FINER}], ids=["value", "proxy"])
def test_a_window_as_large_as_the_image_is_none(tower: PretrainedClip | TowerClip, attention: dict[str, Any]) -> None:
    whole = localizer_of(tower, **attention).locate(images(), NO_MAPS)
    windowed = localizer_of(tower, window=160, step=32, **attention).locate(images(), NO_MAPS)
    torch.testing.assert_close(windowed.maps, whole.maps)
    torch.testing.assert_close(windowed.scores, whole.scores)


@pytest.mark.parametrize("method", [{}, {"attention": "self"}, {"attention": "proxy", "proxy": FINER}], ids=str)
def test_cosines_of_windows_are_averaged(method: dict[str, Any]) -> None:
    """96 x 160 pixels are 3 x 5 patches; windows of 2 x 2 patches, one apart, each by itself."""
    localizer, given = localizer_of(window=64, step=32, **method), images()
    cells = 2 if localizer.proxy is not None else 1  # two patches of the proxy to one of CLIP
    total, count = torch.zeros(2, 3, 3 * cells, 5 * cells), torch.zeros(3 * cells, 5 * cells)
    for top in (0, 1):
        for left in (0, 1, 2, 3):
            window = given[..., 32 * top : 32 * top + 64, 32 * left : 32 * left + 64]
            patches = F.normalize(localizer.features(window)[0], dim=1)
            assert patches.shape[2:] == (2 * cells, 2 * cells)
            here = slice(cells * top, cells * (top + 2)), slice(cells * left, cells * (left + 2))
            total[:, :, *here] += torch.einsum("berl,ce->bcrl", patches, localizer.text)
            count[*here] += 1
    located = localizer.locate(given, NO_MAPS)
    torch.testing.assert_close(located.kinds["similarity"], (total / count).relu(), atol=1e-6, rtol=1e-5)
    softmax = (total / count / 0.1).softmax(dim=1)
    torch.testing.assert_close(located.kinds["softmax"], softmax, atol=1e-5, rtol=1e-5)


def test_maps_by_a_proxy_are_on_its_grid_and_it_sees_the_colours_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    localizer = localizer_of(attention="proxy", proxy=FINER)
    colours = torch.rand(1, 3, 96, 160)
    seen: list[torch.Tensor] = []
    assert localizer.proxy is not None
    forward = localizer.proxy.forward
    monkeypatch.setattr(localizer.proxy, "forward", lambda own: seen.append(own) or forward(own))
    mean, deviation = (torch.tensor(own).view(3, 1, 1) for own in localizer.statistics)
    located = localizer.locate((colours - mean) / deviation, NO_MAPS)
    assert located.maps.shape == (1, 3, 6, 10)
    torch.testing.assert_close(seen[0], colours)


def test_settings_that_are_not_used_are_not_written() -> None:
    """Results made before there were such settings stay valid."""
    plain = ClipSettings(kind="clip").model_dump(mode="json")
    assert plain == {"kind": "clip", "temperature": 0.1}
    windows = ClipSettings(kind="clip", window=224, step=112).model_dump(mode="json")
    assert windows == plain | {"window": 224, "step": 112}
    proxy = settings_of(attention="proxy", proxy=CNN_PROXY).method
    written = proxy.model_dump(mode="json")
    assert written["proxy"] == {"model": "test_efficientnet", "strides": [8, 16], "beta": 1.2, "gamma": 3.0}
    assert ClipSettings.model_validate(written) == proxy
    assert [own.frozen_network for own in (settings_of().method, proxy)] == [None, proxy.proxy]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(
        SettingsError, match="localize.method.attention: 'self' needs the attention of a ViT, and tf_efficientnet_lite0"
    ):
        localizer_of(CNN, attention="self")
    with pytest.raises(SettingsError, match="localize.method.step: 16 is no multiple of the 32 pixels"):
        localizer_of(CNN, window=64, step=16)
    with pytest.raises(SettingsError, match="localize.method.proxy.model: resnet18 is no ViT"):
        localizer_of(attention="proxy", proxy={"model": "resnet18"})
    with pytest.raises(ValueError, match="step: 32 is the distance of windows; give `window` too, or leave it out"):
        settings_of(step=32)
    with pytest.raises(ValueError, match="step: 96 leaves gaps between windows of 64 pixels; set 64 or less"):
        settings_of(window=64, step=96)


def test_weights_of_the_proxy_are_loaded(tmp_path: Path) -> None:
    torch.manual_seed(1)
    tower, network = build_image_tower(VIT), timm.create_model("test_vit", pretrained=False)
    described = {"described": json.dumps({"tower": VIT.model_dump()})}
    weights = {name: own.contiguous() for name, own in tower.state_dict().items()}
    save_file(weights, tmp_path / "tower.safetensors", metadata=described)
    save_file(network.state_dict(), tmp_path / "proxy.safetensors")
    settings = settings_of(attention="proxy", proxy=FINER)
    given: dict[str, Any] = {"weights": tmp_path / "tower.safetensors", "text": torch.randn(3, 16)}
    localizer = build_localizer(settings, proxy=tmp_path / "proxy.safetensors", **given)
    stored = localizer.state_dict()
    for name, own in network.state_dict().items():
        if not name.startswith("head."):
            assert torch.equal(stored[f"proxy.network.{name}"], own)
    with pytest.raises(
        SettingsError, match="localize.method.attention: 'proxy' needs --proxy, the weights of test_vit"
    ):
        build_localizer(settings, **given)
