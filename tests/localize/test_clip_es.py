"""CLIP-ES: the softmax's odds by hand, Grad-CAM against finite differences, attention against a slow NumPy version, and
what is refused."""

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from stages.encode import embed_backgrounds
from stages.encode.clip import PROJECTIONS, build_towers
from stages.errors import SettingsError
from stages.localize.checkpoint import build_localizer
from stages.localize.class_affinity import box_mask
from stages.localize.clip_es import ClipEs
from stages.localize.grad_cam import grad_cam, tag_odds
from stages.localize.inference import scale_to_one
from stages.settings import LocalizeSettings, MapSettings, PretrainedClip, TowerClip
from tests.localize.conftest import CLASSES, TOWER
from tests.localize.test_class_affinity import slow_sinkhorn

TEXT = {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1}
VIT = {"image_size": 32, "patch_size": 8, "width": 32, "head_width": 16, "layers": 3}
MODELS = {"tiny-es": VIT, "tiny-es-mean": VIT | {"pool_type": "avg", "final_ln_after_pool": True, "ls_init_value": 0.3}}
TOWERS = TowerClip.model_validate(TOWER)
# timm ViTs as towers: pooled by a class token, by an attention, by a mean.
TIMM = {
    "tiny-es-token": ("test_vit", "token"),
    "tiny-es-map": ("test_vit3", "map"),
    "tiny-es-avg": ("test_vit4", "avg"),
}
GROUND = ("sky", "ground")
MAPS = MapSettings()
ALL = torch.ones(1, 3, dtype=torch.bool)
FIRST_AND_LAST = torch.tensor([[True, False, True]])


@pytest.fixture(scope="module", autouse=True)
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Makes the tiny models known to open_clip."""
    folder = tmp_path_factory.mktemp("open_clip")
    for name, vision in MODELS.items():
        config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": TEXT}
        (folder / f"{name}.json").write_text(json.dumps(config))
    for name, (model, pool) in TIMM.items():
        vision = {"timm_model_name": model, "timm_pool": pool, "timm_proj": "linear"}
        (folder / f"{name}.json").write_text(json.dumps({"embed_dim": 16, "vision_cfg": vision, "text_cfg": TEXT}))
    open_clip.add_model_config(folder)


def localizer_of(tower: str | TowerClip = "tiny-es", *, threshold: float = 0.5, **method) -> ClipEs:
    """A localizer with random weights and texts. Its temperature leaves random probabilities away from 0 and 1."""
    torch.manual_seed(0)
    settings = LocalizeSettings.model_validate(
        {"method": {"kind": "clip_es", "temperature": 0.5} | method, "class_threshold": threshold}
    )
    described = PretrainedClip(model=tower, pretrained="weights.safetensors") if isinstance(tower, str) else tower
    text, backgrounds = torch.randn(len(CLASSES), 16), torch.randn(len(GROUND), 16)
    given = {"tower": described.model_dump(), "background_texts": GROUND, "backgrounds": backgrounds}
    return ClipEs(settings, text, None, **given).eval()


def images_of(rows: int = 16, columns: int = 24, count: int = 1) -> torch.Tensor:
    return torch.randn(count, 3, rows, columns, generator=torch.Generator().manual_seed(3))


def softmax_of(cosines: list[float], temperature: float) -> np.ndarray:
    powers = np.exp(np.array(cosines) / temperature)
    return powers / powers.sum()


def test_odds_are_those_of_the_softmax_over_tags_and_backgrounds() -> None:
    text, backgrounds = torch.eye(5)[:3], torch.eye(5)[3:]
    embedded = torch.tensor([[3.0, 4.0, 0.0, 0.0, 0.0], [2.0, 2.0, 2.0, 2.0, 0.0]])
    tags = torch.tensor([[True, True, False], [False, False, True]])
    odds = tag_odds(embedded, text, backgrounds, tags, temperature=0.5)
    # Cosines of the first image: 0.6 and 0.8 with its tags, 0 with both backgrounds; of the second 0.5, and 0.5 and 0.
    first, second = softmax_of([0.6, 0.8, 0.0, 0.0], 0.5), softmax_of([0.5, 0.5, 0.0], 0.5)
    np.testing.assert_allclose(torch.sigmoid(odds[0, :2]), first[:2], rtol=1e-5)
    np.testing.assert_allclose(torch.sigmoid(odds[1, 2]), second[0], rtol=1e-5)
    assert torch.isfinite(odds).all()


def test_odds_have_a_gradient_where_the_softmax_is_1() -> None:
    embedded = torch.tensor([[1.0, 0.1, 0.0]], requires_grad=True)
    text, backgrounds = torch.eye(3)[:1], torch.eye(3)[1:2]
    odds = tag_odds(embedded, text, backgrounds, torch.tensor([[True]]), temperature=0.01)
    assert torch.sigmoid(odds) == 1
    (gradient,) = torch.autograd.grad(odds.sum(), embedded)
    assert gradient[0, 0] > 1
    assert gradient[0, 1] < -1


@pytest.mark.parametrize("embedding", ["patches", "tower"])
@pytest.mark.parametrize("tower", ["tiny-es", "tiny-es-mean", TOWERS], ids=["vit", "vit-mean", "cnn"])
def test_maps_are_grad_cam_by_finite_differences(tower: str | TowerClip, embedding: str) -> None:
    localizer = localizer_of(tower, embedding=embedding, steps=0).double()
    images = images_of() if isinstance(tower, str) else images_of(64, 96)
    with torch.no_grad():
        explained = localizer.explain(images.double())
        features, prefix = explained.features, explained.prefix
        if not isinstance(tower, str):  # as wide as the others: a CNN's 1280 channels would take seconds
            features = torch.cat((features[..., :32], torch.zeros_like(features[..., 32:])), dim=2)

        def probability(given: torch.Tensor, position: int) -> float:
            embedded = F.normalize(explained.embed(given), dim=1)[0]
            texts = torch.cat((localizer.text[FIRST_AND_LAST[0]], localizer.backgrounds))
            return float((embedded @ texts.T / 0.5).softmax(dim=0)[position])

        expected = []
        for position in range(2):
            gradient = torch.zeros_like(features)
            for token in range(prefix, features.shape[1]):
                for channel in range(32):
                    step = torch.zeros_like(features)
                    step[0, token, channel] = 1e-4
                    change = probability(features + step, position) - probability(features - step, position)
                    gradient[0, token, channel] = change / 2e-4
            weights = gradient[0, prefix:].mean(dim=0)
            own = torch.relu((features[0, prefix:] * weights).sum(dim=1))
            expected.append(own / (probability(features, position) * (1 - probability(features, position))))
    found = grad_cam(features, FIRST_AND_LAST, localizer._odds(explained, FIRST_AND_LAST), prefix=prefix)
    assert found.max() > 0
    assert not found[0, 1].any()  # no tag
    torch.testing.assert_close(found[0, FIRST_AND_LAST[0]], torch.stack(expected), rtol=1e-4, atol=1e-7)
    if isinstance(tower, str):
        maps = localizer.locate_tagged([images.double()], MAPS, [FIRST_AND_LAST])[0].kinds["grad_cam"]
        torch.testing.assert_close(maps[0], scale_to_one(found[0].unflatten(1, explained.grid)))


@pytest.mark.parametrize("tower", ["tiny-es", *TIMM])
def test_images_with_other_tags_run_together(tower: str) -> None:
    localizer = localizer_of(tower)
    images = images_of(2 * localizer.stride, 3 * localizer.stride, count=3)
    tags = torch.tensor([[True, False, True], [False, True, False], [True, True, True]])
    together = localizer.locate_tagged([images], MAPS, [tags])[0]
    for number in range(3):
        (alone,) = localizer.locate_tagged([images[number : number + 1]], MAPS, [tags[number : number + 1]])
        torch.testing.assert_close(together.maps[number], alone.maps[0], atol=1e-5, rtol=1e-4)
    assert not together.maps[~tags].any()
    # What else an image shows changes the map of a tag.
    (only,) = localizer.locate_tagged([images[:1]], MAPS, [torch.tensor([[True, False, False]])])
    assert not torch.allclose(only.kinds["grad_cam"][0, 0], together.kinds["grad_cam"][0, 0], atol=1e-3)


def test_images_without_tags_show_what_reaches_the_threshold() -> None:
    localizer, images = localizer_of(threshold=0.5), images_of()
    found = torch.sigmoid(localizer.locate(images, MAPS).scores) >= 0.5
    assert 0 < found.sum() < 3
    expected = localizer.locate_tagged([images], MAPS, [found])[0]
    torch.testing.assert_close(localizer.locate(images, MAPS).maps, expected.maps)
    every = localizer_of(threshold=0.001)
    torch.testing.assert_close(every.locate(images, MAPS).maps, every.locate_tagged([images], MAPS, [ALL])[0].maps)


def test_scores_are_those_of_method_clip(make_localizer) -> None:
    """The tower's own embedding, whatever the maps explain."""
    similarity, images = make_localizer("cnn", "clip"), images_of(64, 64)
    explained = make_localizer("cnn", "clip_es", temperature=0.1)
    torch.testing.assert_close(explained.locate(images, MAPS).scores, similarity.locate(images, MAPS).scores)


def test_maps_are_the_same_in_inference_mode_and_under_autocast() -> None:
    localizer, images = localizer_of(), images_of()
    plain = localizer.locate(images, MAPS)
    with torch.inference_mode():
        torch.testing.assert_close(localizer.locate(images, MAPS).maps, plain.maps)
        explained = localizer.explain(images)
        localizer.explain = lambda images: explained
        with torch.autocast("cpu", torch.bfloat16):
            cast = localizer.locate(images, MAPS)
    torch.testing.assert_close(cast.maps, plain.maps)
    assert cast.maps.dtype == torch.float32


def slow_attention(block: torch.nn.Module, tokens: np.ndarray) -> np.ndarray:
    """The mean over heads of the softmax of queries times keys, [tokens, tokens]."""
    normed = block.ln_1(torch.from_numpy(tokens)).numpy()
    weight, bias = block.attn.in_proj_weight.numpy(), block.attn.in_proj_bias.numpy()
    width, heads = tokens.shape[1], block.attn.num_heads
    queries, keys, _ = np.split(normed @ weight.T + bias, 3, axis=1)
    total = np.zeros((len(tokens), len(tokens)))
    for head in range(heads):
        part = slice(head * width // heads, (head + 1) * width // heads)
        products = np.exp(queries[:, part] @ keys[:, part].T / np.sqrt(width // heads))
        total += products / products.sum(axis=1, keepdims=True) / heads
    return total


@pytest.mark.parametrize("blocks", [1, 2, 8])
def test_attention_is_the_mean_over_heads_and_last_blocks(blocks: int) -> None:
    localizer, images = localizer_of(attention_blocks=blocks), images_of()
    tower = localizer.tower
    expected = []
    with torch.no_grad():
        explained = localizer.explain(images)
        entering, grid = localizer.opened.enter(images)
        for number, block in enumerate(tower.transformer.resblocks):
            expected.append(slow_attention(block, entering[0].numpy())[1:, 1:])
            after, own = localizer.opened.with_attention(number, entering, grid)
            torch.testing.assert_close(after, block(entering), atol=1e-5, rtol=1e-4)
            np.testing.assert_allclose(own[0], expected[-1], atol=1e-5)
            entering = after
    np.testing.assert_allclose(explained.attention[0], np.mean(expected[-blocks:], axis=0), atol=1e-5)


def test_maps_are_spread_within_their_image() -> None:
    localizer, images = localizer_of(), images_of(count=2)
    tags = torch.tensor([[True, True, False], [False, False, True]])
    located = localizer.locate_tagged([images], MAPS, [tags])[0]
    attention = localizer.explain(images).attention.detach().numpy()
    for image, label in tags.nonzero().tolist():
        balanced = slow_sinkhorn(attention[image].astype(np.float64), 3)
        affinity = np.linalg.matrix_power((balanced + balanced.T) / 2, 2)
        own = located.kinds["grad_cam"][image, label].numpy().astype(np.float64)
        expected = affinity @ (own * box_mask(own, 0.4)).reshape(-1)
        np.testing.assert_allclose(located.maps[image, label].reshape(-1), expected, atol=1e-5)
    without = localizer_of(steps=0).locate_tagged([images], MAPS, [tags])[0]
    assert list(without.kinds) == ["grad_cam"]
    torch.testing.assert_close(without.maps, located.kinds["grad_cam"])


def test_a_cnn_that_pools_by_the_mean_has_the_gradient_of_its_embedding() -> None:
    """Its head is linear, so the weights are the same as through the projection alone."""
    localizer, images = localizer_of(TOWERS), images_of(64, 96)
    explained = localizer.explain(images)
    embedded = explained.embedded.detach().requires_grad_()
    odds = tag_odds(embedded, localizer.text, localizer.backgrounds, FIRST_AND_LAST, temperature=0.5)
    located = localizer.locate_tagged([images], MAPS, [FIRST_AND_LAST])[0]
    assert list(located.kinds) == ["grad_cam"]
    for label in (0, 2):
        (gradient,) = torch.autograd.grad(odds[0, label], embedded, retain_graph=True)
        weights = gradient[0] @ localizer.tower.head.proj.weight
        own = torch.relu(explained.features[0] @ weights).unflatten(0, explained.grid)
        torch.testing.assert_close(located.maps[0, label], scale_to_one(own[None])[0], atol=1e-4, rtol=1e-4)


def test_affinities_of_a_cnn_are_refused() -> None:
    with pytest.raises(SettingsError, match="localize.method.steps: 2 needs the attention of a ViT"):
        localizer_of(TOWERS, steps=2)
    assert localizer_of(TOWERS).steps == localizer_of(TOWERS, steps=0).steps == 0
    assert localizer_of().steps == 2


def test_background_texts_are_embedded_as_the_classes_are(tmp_path: Path, weight_files: dict[str, Path]) -> None:
    clip = build_towers(TOWERS, weight_files["cnn"])
    projections = {name: value for name, value in clip.model.state_dict().items() if name.startswith(PROJECTIONS)}
    save_file(projections, tmp_path / "clip.safetensors")
    tower = {"described": json.dumps({"tower": TOWERS.model_dump()})}
    state = {name: value.contiguous() for name, value in clip.model.visual.state_dict().items()}
    save_file(state, tmp_path / "tower.safetensors", metadata=tower)
    settings = {"clip": TOWERS.model_dump(), "templates": ["a {}.", "an origami {}."], "backgrounds": GROUND}
    files = ["--clip", str(tmp_path / "clip.safetensors"), "--weights", str(weight_files["cnn"])]
    output = tmp_path / "backgrounds.safetensors"
    embed_backgrounds.run(["--settings", json.dumps(settings), *files, "--output", str(output)])
    text = torch.eye(3, 16)
    whole = LocalizeSettings.model_validate({"method": {"kind": "clip_es"}})
    localizer = build_localizer(whole, weights=tmp_path / "tower.safetensors", text=text, backgrounds=output)
    assert localizer.described["background_texts"] == list(GROUND)
    for name, own in zip(GROUND, localizer.backgrounds, strict=True):
        prompts = clip.tokenize([f"a {name}.", f"an origami {name}."])
        mean = clip.model.encode_text(prompts, normalize=True).mean(dim=0)
        torch.testing.assert_close(own, F.normalize(mean, dim=0), atol=1e-5, rtol=1e-4)
