"""Training-free maps of CLIP: open_clip's own features, MaskCLIP's dense ones, and what is done with them."""

import json
from pathlib import Path

import open_clip
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from stages.encode import save_image_tower
from stages.encode.clip import PROJECTIONS, build_towers
from stages.errors import DataError, SettingsError
from stages.localize.checkpoint import build_localizer, load_localizer, save_localizer
from stages.localize.clip_similarity import ClipSimilarity
from stages.networks.towers.build import build_image_tower, image_statistics
from stages.settings import ClipSettings, LocalizeSettings, MapSettings, PretrainedClip, TowerClip
from tests.localize.conftest import CLASSES, TOWER

TEXT = {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1}
TINY = {"image_size": 32, "patch_size": 8, "width": 64, "head_width": 16, "layers": 3}
MODELS = {
    "tiny-vit": TINY,
    "tiny-vit-mean": TINY | {"pool_type": "avg", "final_ln_after_pool": True, "ls_init_value": 0.3, "no_ln_pre": True},
    "tiny-vit-attention-pool": TINY | {"attentional_pool": True},
    "tiny-vit-other-block": TINY | {"qk_norm": True},
    "tiny-resnet": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8},
    "tiny-convnext": {"timm_model_name": "convnext_atto", "timm_pool": "", "image_size": 64},
    "tiny-timm-attention": {"timm_model_name": "tf_efficientnet_lite0", "timm_pool": "abs_attn", "timm_proj": ""},
    "tiny-swin": {"timm_model_name": "swin_tiny_patch4_window7_224", "timm_pool": "avg"},
    "tiny-relative-vit": {"timm_model_name": "vit_relpos_small_patch16_224", "timm_pool": "avg"},
}
CLIP = LocalizeSettings(method=ClipSettings(kind="clip"))
TOWERS = TowerClip.model_validate(TOWER)
NO_MAPS = MapSettings()


@pytest.fixture(scope="module", autouse=True)
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Makes the tiny models known to open_clip."""
    folder = tmp_path_factory.mktemp("open_clip")
    for name, vision in MODELS.items():
        config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": TEXT}
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


def pretrained(model: str) -> PretrainedClip:
    return PretrainedClip(model=model, pretrained="weights.safetensors")


def localizer_of(tower: PretrainedClip | TowerClip, *, temperature: float = 0.1) -> ClipSimilarity:
    torch.manual_seed(0)
    settings = LocalizeSettings.model_validate({"method": {"kind": "clip", "temperature": temperature}})
    return ClipSimilarity(settings, torch.randn(len(CLASSES), 16), None, tower=tower.model_dump()).eval()


def entering_last_block(tower: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """What open_clip itself gives its last block."""
    seen: list[torch.Tensor] = []
    handle = tower.transformer.resblocks[-1].register_forward_pre_hook(lambda block, inputs: seen.append(inputs[0]))
    tower(images)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize("model", ["tiny-vit", "tiny-vit-mean"])
def test_a_vit_at_its_own_size_is_open_clips(model: str) -> None:
    localizer, images = localizer_of(pretrained(model)), torch.randn(2, 3, 32, 32)
    tokens, grid = localizer.opened.before_last(images)
    assert grid == (4, 4)
    torch.testing.assert_close(tokens, entering_last_block(localizer.tower, images))
    _, pooled = localizer.features(images)
    torch.testing.assert_close(pooled, localizer.tower(images))


def test_patch_features_are_those_of_patches_that_attend_to_themselves() -> None:
    """Attention to oneself alone gives the values, whatever the queries and keys: torch's own attention, masked."""
    localizer, images = localizer_of(pretrained("tiny-vit")), torch.randn(2, 3, 24, 40)
    tower = localizer.tower
    last = tower.transformer.resblocks[-1]
    tokens, _ = localizer.opened.before_last(images)
    others = ~torch.eye(tokens.shape[1], dtype=torch.bool)
    normed = last.ln_1(tokens)
    alone, _ = last.attn(normed, normed, normed, attn_mask=others)
    expected = tower.ln_post(last.ls_1(alone)) @ tower.proj
    patches, pooled = localizer.features(images)
    assert patches.shape == (2, 16, 3, 5)
    assert pooled.shape == (2, 16)
    torch.testing.assert_close(patches.flatten(2).mT, expected[:, 1:], atol=1e-5, rtol=1e-4)


def test_positions_are_interpolated_to_other_sizes() -> None:
    localizer = localizer_of(pretrained("tiny-vit"))
    tower = localizer.tower
    with torch.no_grad():  # patches without content: what is left of them is their position
        tower.conv1.weight.zero_()
        tower.ln_pre = torch.nn.Identity()
        ramp = torch.arange(4.0).repeat_interleave(4)  # the row's number, along 4 x 4 positions
        tower.positional_embedding[1:] = ramp[:, None]
    tokens, grid = localizer.opened.enter(torch.randn(1, 3, 64, 24))
    assert grid == (8, 3)
    rows = tokens[0, 1:, 0].view(8, 3)
    torch.testing.assert_close(rows, rows[:, :1].expand(8, 3))  # the same in all columns
    assert (rows.diff(dim=0) > 0).all()  # still rising
    torch.testing.assert_close(rows + rows.flip(0), torch.full((8, 3), 3.0))  # about the same middle


def test_a_cnns_projected_positions_have_the_image_embedding_as_their_mean() -> None:
    localizer, images = localizer_of(TOWERS), torch.randn(2, 3, 64, 96)
    patches, pooled = localizer.features(images)
    assert patches.shape == (2, 16, 2, 3)
    assert localizer.stride == 32
    torch.testing.assert_close(pooled, localizer.tower(images))
    torch.testing.assert_close(patches.mean(dim=(2, 3)), localizer.tower(images), atol=1e-5, rtol=1e-4)


def test_a_cnn_that_norms_after_its_pooling_norms_each_position() -> None:
    localizer, images = localizer_of(pretrained("tiny-convnext")), torch.randn(1, 3, 64, 64)
    patches, pooled = localizer.features(images)
    torch.testing.assert_close(pooled, localizer.tower(images))
    trunk = localizer.tower.trunk
    normed = trunk.head.norm(trunk.forward_features(images))
    expected = F.conv2d(normed, localizer.tower.head.proj.weight[:, :, None, None])
    torch.testing.assert_close(patches, expected, atol=1e-5, rtol=1e-4)


def test_maps_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    # Texts along three axes; one image of two patches, one on the first axis, the other opposite to the second.
    localizer = localizer_of(pretrained("tiny-vit"), temperature=0.5)
    localizer.text = torch.eye(16)[:3]
    patches = torch.zeros(1, 16, 1, 2)
    patches[0, 0, 0, 0], patches[0, 1, 0, 1] = 7.0, -3.0
    pooled = torch.tensor([[3.0, 4.0] + 14 * [0.0]])
    monkeypatch.setattr(localizer, "features", lambda images: (patches, pooled))
    located = localizer.locate(torch.zeros(1, 3, 8, 16), NO_MAPS)
    # Cosines (1, 0, 0) and (0, -1, 0), divided by 0.5.
    first = torch.tensor([2.0, 0.0, 0.0]).exp() / (torch.e**2 + 2)
    second = torch.tensor([0.0, -2.0, 0.0]).exp() / (torch.e**-2 + 2)
    torch.testing.assert_close(located.kinds["softmax"][0, :, 0], torch.stack((first, second), dim=1))
    similarity = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    torch.testing.assert_close(located.kinds["similarity"][0, :, 0], similarity)
    torch.testing.assert_close(located.maps[0, :, 0], similarity * first[0])
    # Whole image: cosines (0.6, 0.8, 0), so logits log(3 e^1.2 / (e^1.2 + e^1.6 + 1)) and so on.
    powers = torch.tensor([1.2, 1.6, 0.0]).exp()
    torch.testing.assert_close(located.scores[0], (3 * powers / powers.sum()).log())
    assert (torch.sigmoid(located.scores[0]) > 0.5).tolist() == [True, True, False]


def test_cosines_are_not_rounded_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    localizer = localizer_of(pretrained("tiny-vit"))
    monkeypatch.setattr(localizer, "features", lambda images: (torch.ones(1, 16, 1, 1), torch.ones(1, 16)))
    full = localizer.locate(torch.zeros(1, 3, 8, 8), NO_MAPS)
    with torch.autocast("cpu", torch.bfloat16):
        cast = localizer.locate(torch.zeros(1, 3, 8, 8), NO_MAPS)
    assert torch.equal(cast.maps, full.maps)
    assert torch.equal(cast.scores, full.scores)


def test_equal_texts_are_as_likely_as_chance() -> None:
    localizer = localizer_of(pretrained("tiny-vit"))
    localizer.text = localizer.text[:1].expand(3, -1)
    scores = localizer.locate(torch.randn(2, 3, 32, 32), NO_MAPS).scores
    torch.testing.assert_close(torch.sigmoid(scores), torch.full((2, 3), 0.5))


def test_a_stored_vit_is_whole(tmp_path: Path) -> None:
    localizer, images = localizer_of(pretrained("tiny-vit")), torch.randn(2, 3, 64, 96)
    save_localizer(tmp_path / "localizer.safetensors", localizer, CLASSES)
    again, _ = load_localizer(tmp_path / "localizer.safetensors", localizer.settings)
    torch.testing.assert_close(again.text.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(again.locate(images, NO_MAPS).maps, localizer.locate(images, NO_MAPS).maps)


@pytest.mark.parametrize(
    "model",
    [
        "tiny-vit-attention-pool",
        "tiny-vit-other-block",
        "tiny-resnet",
        "tiny-timm-attention",
        "tiny-swin",
        "tiny-relative-vit",
    ],
)
def test_towers_whose_patches_cannot_be_compared_are_refused(model: str) -> None:
    with pytest.raises(SettingsError, match=f"encode.clip.model: the patches of '{model}' .* choose a plain ViT"):
        localizer_of(pretrained(model))


def test_a_packaged_tower_is_refused_by_its_own_setting() -> None:
    with pytest.raises(SettingsError, match="encode.clip.image_tower: the patches of 'beit_base_patch16_224'"):
        localizer_of(TowerClip(kind="towers", image_tower="beit_base_patch16_224"))


def test_an_unknown_tower_is_named() -> None:
    with pytest.raises(SettingsError, match="encode.clip.model: open_clip has no 'ViT-X'"):
        localizer_of(pretrained("ViT-X"))


def test_weights_of_another_tower_are_refused() -> None:
    other = build_image_tower(pretrained("tiny-vit-mean")).state_dict()
    with pytest.raises(DataError, match="weights of another image tower"):
        ClipSimilarity(CLIP, torch.zeros(3, 16), other, tower=pretrained("tiny-vit").model_dump())


def test_openais_weights_get_openais_activation_and_statistics() -> None:
    tower = PretrainedClip(model="ViT-B-32", pretrained="openai")
    activations = {type(block.mlp.gelu).__name__ for block in build_image_tower(tower).transformer.resblocks}
    assert activations == {"QuickGELU"}
    assert image_statistics(tower, torch.nn.Identity()) == (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    siglip = PretrainedClip(model="ViT-B-16-SigLIP", pretrained="webli")
    assert image_statistics(siglip, torch.nn.Identity()) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_a_saved_image_tower_is_that_of_the_model(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = open_clip.create_model("tiny-vit", pretrained=None).eval()
    weights, output = tmp_path / "clip.pt", tmp_path / "tower.safetensors"
    torch.save(model.state_dict(), weights)
    clip = {"kind": "pretrained", "model": "tiny-vit", "pretrained": str(weights)}
    save_image_tower.run(["--settings", json.dumps({"clip": clip}), "--output", str(output)])
    localizer = build_localizer(CLIP, weights=output, text=torch.randn(3, 16)).eval()
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(localizer.features(images)[1], model.encode_image(images))
    assert localizer.statistics == (model.visual.image_mean, model.visual.image_std)


def test_saved_packaged_towers_give_clips_own_similarities(tmp_path: Path, weight_files: dict[str, Path]) -> None:
    clip = build_towers(TOWERS, weight_files["cnn"])
    projections = {name: value for name, value in clip.model.state_dict().items() if name.startswith(PROJECTIONS)}
    save_file(projections, tmp_path / "clip.safetensors")
    files = ["--clip", str(tmp_path / "clip.safetensors"), "--weights", str(weight_files["cnn"])]
    settings = json.dumps({"clip": TOWERS.model_dump()})
    save_image_tower.run(["--settings", settings, *files, "--output", str(tmp_path / "tower.safetensors")])
    text = clip.model.encode_text(clip.tokenize(["a bird", "a road sign", "a coin"]), normalize=True)
    localizer = build_localizer(CLIP, weights=tmp_path / "tower.safetensors", text=text).eval()
    images = torch.randn(2, 3, 64, 64)
    cosines = clip.model.encode_image(images, normalize=True) @ text.T
    expected = (3 * (cosines / 0.1).softmax(dim=1)).log()
    torch.testing.assert_close(localizer.locate(images, NO_MAPS).scores, expected, atol=1e-4, rtol=1e-4)
