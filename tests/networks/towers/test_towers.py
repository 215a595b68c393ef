"""Opened image towers: what they take apart is what open_clip's own towers compute, and patches alone are what the
tower makes of an image of one patch."""

from typing import Any

import pytest
import torch
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from timm.models import get_model_args
from torch import Tensor

from stages.errors import SettingsError
from stages.networks.checked import check_backbone
from stages.networks.towers.build import build_image_tower, image_statistics, open_tower
from stages.networks.towers.timm_cnn import TimmCnn
from stages.networks.towers.timm_vit import TimmVit, take_any_size
from stages.networks.towers.tower import ImageTower, VitTower
from stages.settings import ClipEsSettings, ClipSettings, PretrainedClip, TowerBackbone, TowerClip

WIDTH = 16
TOWERS = TowerClip(kind="towers", image_tower="test_vit")
# A family of timm ViTs each, by their pooling: OpenAI's kind, SigLIP's, means before and after the last norm, EVA-02's
# rotary positions, Perception Encoder's with both, and DINOv3's with registers.
TIMM = {
    "class token": {"model_name": "test_vit", "pool": "token"},
    "attention": {"model_name": "test_vit3", "pool": "map", "proj": "none"},
    "normed mean": {"model_name": "test_vit", "pool": "avg"},
    "mean, then norm": {"model_name": "test_vit4", "pool": "avg", "proj": ""},
    "rotary": {"model_name": "eva02_tiny_patch14_224", "pool": "token", "proj": ""},
    "rotary, attention": {"model_name": "vit_pe_core_tiny_patch16_384", "pool": "map", "proj": ""},
    "registers": {"model_name": "vit_tiny_patch16_dinov3_qkvb", "pool": "avg"},
}
OPEN_CLIP = {
    "openai": {},
    "mean": {"pool_type": "avg"},
    "mean, then the last norm": {
        "pool_type": "avg",
        "final_ln_after_pool": True,
        "no_ln_pre": True,
        "ls_init_value": 0.3,
    },
}
NAMES = [*TIMM, *OPEN_CLIP]


def visual_of(name: str) -> Any:
    torch.manual_seed(0)
    if name in TIMM:
        given = TIMM[name]
        width = WIDTH if given.get("proj") != "none" else 96
        visual: Any = TimmModel(embed_dim=width, image_size=64, **given)
        take_any_size(visual)
    else:
        visual = VisionTransformer(
            image_size=32, patch_size=8, width=32, layers=3, heads=4, mlp_ratio=2.0, output_dim=WIDTH, **OPEN_CLIP[name]
        )
    for own in visual.parameters():
        own.add_(0.1 * torch.randn_like(own))  # norms, biases and tokens of 0 or 1 would hide a missing one
    return visual.eval()


@pytest.fixture(autouse=True)
def without_gradient():
    with torch.no_grad():
        yield


def opened(visual: Any) -> Any:
    return open_tower(visual, TOWERS, "clip")


def images_of(tower: ImageTower, rows: int = 3, columns: int = 5) -> Tensor:
    size = rows * tower.stride, columns * tower.stride
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_image_embedding_is_the_towers_own(name: str) -> None:
    visual = visual_of(name)
    tower = opened(visual)
    assert isinstance(tower, VitTower)
    # open_clip's own ViT takes its one size alone.
    images = images_of(tower) if name in TIMM else images_of(tower, 4, 4)
    tokens, grid = tower.before_last(images)
    assert grid[0] * grid[1] + tower.prefix == tokens.shape[1]
    close(tower.pooled(tokens, grid), visual(images))


@pytest.mark.parametrize("name", NAMES)
def test_blocks_taken_apart_are_blocks(name: str) -> None:
    tower = opened(visual_of(name))
    tokens, grid = tower.enter(images_of(tower))
    for number in range(tower.depth):
        expected = tower.run(number, tokens, grid)
        found, attention = tower.with_attention(number, tokens, grid)
        close(found, expected)
        assert attention.shape == (2, 15, 15)
        assert ((attention.sum(dim=2) <= 1 + 1e-5) & (attention > 0).all(dim=2)).all()
        if number == tower.depth - 1:
            close(tower.after_last(tokens, tower.attention_inputs(number, tokens), grid), expected)
        tokens = expected


@pytest.mark.parametrize("name", ["class token", "rotary", "openai"])
def test_values_are_the_last_attention_of_patches_that_see_themselves_alone(name: str) -> None:
    """Attention to oneself alone, whatever the queries and keys, through the block's own masked attention; positions
    that turn queries and keys have no part in it."""
    visual = visual_of(name)
    tower = opened(visual)
    tokens, grid = tower.before_last(images_of(tower))
    last, others = tower.depth - 1, torch.eye(tokens.shape[1], dtype=torch.bool)
    inputs = tower.attention_inputs(last, tokens)
    if name == "openai":
        attended, _ = tower.blocks[last].attn(inputs, inputs, inputs, attn_mask=~others)
    else:
        attended = visual.trunk.blocks[last].attn(inputs, attn_mask=others[None, None])
    expected = tower.alone(tower.normed(tower.attention_branch(last, attended))[:, tower.prefix :])
    close(tower.embed_values(tower.values(tokens, grid)), expected)


@pytest.mark.parametrize(
    "name", ["attention", "rotary, attention", "normed mean", "mean, then norm", "registers", "mean"]
)
def test_without_a_class_token_each_patch_is_pooled_alone(name: str) -> None:
    """The embedding of a sequence of one patch; with a mean and what is linear behind it, their mean is the image's."""
    visual = visual_of(name)
    tower = opened(visual)
    tokens, grid = tower.before_last(images_of(tower))
    found = tower.embed_values(tower.values(tokens, grid))
    patches = tower.run(tower.depth - 1, tokens, grid)[:, tower.prefix :]
    if "attention" in name:
        for number in (0, 7):
            close(found[:, number], tower.pool(patches[:, number : number + 1]))
    elif name == "mean, then norm":
        # As if all patches were this one.
        for number in (0, 7):
            same = torch.cat((tokens[:, : tower.prefix], patches[:, number : number + 1].expand(-1, 15, -1)), dim=1)
            close(found[:, number], tower.pool(same))
    else:
        close(found.mean(dim=1), tower.pooled(tokens, grid))


@pytest.mark.parametrize("name", NAMES)
def test_the_mean_embedding_is_that_of_the_mean_patch(name: str) -> None:
    tower = opened(visual_of(name))
    tokens = torch.randn(2, tower.prefix + 15, tower.enter(images_of(tower))[0].shape[2])
    even = tower.normed(tokens)[:, tower.prefix :].mean(dim=1, keepdim=True)
    close(tower.mean_embedding(tokens), tower.alone(even)[:, 0])
    if name in ("normed mean", "mean", "registers", "mean, then norm"):
        close(tower.mean_embedding(tokens), tower.pool(tokens))


@pytest.mark.parametrize("name", ["class token", "rotary", "attention", "openai"])
def test_patches_that_see_themselves_alone_twice_add_their_values_twice(name: str) -> None:
    """Queries and keys so long that each softmax is 1 at its own place: SCLIP's attention gives each value twice."""
    tower = opened(visual_of(name))
    tokens, grid = tower.before_last(images_of(tower))
    last = tower.depth - 1
    inputs = tower.attention_inputs(last, tokens)
    queries, _, values = tower.queries_keys_values(last, inputs, grid)
    apart = torch.randn(queries.shape[2:], generator=torch.Generator().manual_seed(2))
    long = (1e4 * torch.nn.functional.normalize(apart, dim=1)).expand_as(queries)
    tower.queries_keys_values = lambda *given: (long, long, values)
    found = tower.seen_by_themselves(tokens, grid)
    out = tower.block_outputs(last, tokens, tower.attention_outputs(last, inputs, 2 * values))
    close(found, tower.alone(tower.normed(out)[:, tower.prefix :]))


def test_a_tower_for_any_size_is_the_same_otherwise() -> None:
    fixed: Any = TimmModel("test_vit4", WIDTH, pool="avg", proj="").eval()
    state = fixed.state_dict()
    arguments = get_model_args(fixed.trunk)
    images = torch.randn(1, 3, 160, 160)
    expected = fixed(images)
    take_any_size(fixed)
    assert get_model_args(fixed.trunk) == arguments | {"dynamic_img_size": True}
    fixed.load_state_dict(state)
    close(fixed.eval()(images), expected)


@pytest.mark.parametrize(
    "model", ["ViT-B-16-SigLIP", "EVA02-B-16", "ViT-B-32", "RN50x4", "convnext_base", "MobileCLIP-B"]
)
def test_published_towers(model: str) -> None:
    """Of open_clip's own models, with random weights: which can be opened, and their patches."""
    clip = PretrainedClip(model=model, pretrained="weights.safetensors")
    with torch.device("meta"):
        visual = build_image_tower(clip)
    if model == "RN50x4":
        with pytest.raises(SettingsError, match="encode.clip.model: the patches of 'RN50x4' .* is neither a ViT nor"):
            open_tower(visual, clip, "clip")
        return
    tower = open_tower(visual, clip, "clip")
    assert tower.stride == {"ViT-B-16-SigLIP": 16, "EVA02-B-16": 16, "ViT-B-32": 32}.get(model, tower.stride)
    assert isinstance(tower, TimmCnn) == (model == "convnext_base")


def test_a_packaged_tower_is_checked_before_its_weights_are_loaded() -> None:
    of_self = ClipSettings(kind="clip", attention="self").needs_attention
    of_steps = ClipEsSettings(kind="clip_es", steps=2).needs_attention
    assert ClipSettings(kind="clip").needs_attention is None
    assert ClipEsSettings(kind="clip_es").needs_attention is None
    for needs in (of_self, of_steps):
        check_backbone(TowerBackbone(model="test_vit", method="clip", needs=needs.setting, cure=needs.cure))
    check_backbone(TowerBackbone(model="test_efficientnet", method="clip"))
    faults = [
        (
            of_self,
            r"localize.method.attention: 'self' needs the attention of a ViT, and test_efficientnet .* set 'value'",
        ),
        (
            of_steps,
            r"localize.method.steps: 2 needs the attention of a ViT, .* \(encode.clip.image_tower\) is a CNN; leave",
        ),
    ]
    for needs, message in faults:
        with pytest.raises(SettingsError, match=message):
            check_backbone(TowerBackbone(model="test_efficientnet", method="x", needs=needs.setting, cure=needs.cure))
    with pytest.raises(SettingsError, match=r"encode.clip.image_tower: timm has no model 'test_vitt'; did you mean"):
        check_backbone(TowerBackbone(model="test_vitt", method="clip"))
    with pytest.raises(SettingsError, match=r"image_tower: the patches of 'swin_tiny_patch4_window7_224' cannot"):
        check_backbone(TowerBackbone(model="swin_tiny_patch4_window7_224", method="clip"))


def test_statistics_of_a_packaged_vit_are_its_own() -> None:
    visual = build_image_tower(TOWERS)
    assert image_statistics(TOWERS, visual) == (visual.trunk.default_cfg["mean"], visual.trunk.default_cfg["std"])
    assert isinstance(open_tower(visual, TOWERS, "clip"), TimmVit)
