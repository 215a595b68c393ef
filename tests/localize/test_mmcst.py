"""The localization transformer as a whole: shapes, gradients, and every switch."""

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F

from stages.errors import SettingsError
from stages.localize.attention import Attention, run_blocks
from stages.localize.objective import LocalizerObjective
from stages.localize.tokens import contrastive_loss, global_weighted_ranking_pooling, mean_of_own_classes
from stages.settings import MapSettings

LABELS = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("kind", ["vit", "hybrid"])
def test_shapes(make_localizer, images: torch.Tensor, kind: str) -> None:
    output = make_localizer(kind)(images, attention=Attention(2, 2))
    assert output.grid == (4, 6)
    for tokens in (output.visual, output.text):
        assert tokens.maps.shape == (2, 3, 24)
        assert tokens.scores.shape == (2, 3)
    assert output.class_scores.shape == (2, 3)
    assert output.class_attention.shape == (2, 6, 24)
    assert output.patch_attention.shape == (2, 24, 24)


def test_scores_are_the_pooled_maps_of_the_tokens_alone_with_a_learned_bias(make_localizer, images) -> None:
    localizer = make_localizer(pooling_decay=0.9)
    output, alone = localizer(images), localizer(images, representation="global")
    expected = global_weighted_ranking_pooling(alone.text.maps, 0.9) - 1.5
    torch.testing.assert_close(output.text.scores, expected)
    assert (output.text.maps - alone.text.maps).abs().max() > 1e-3


def test_scores_with_context_are_pooled_from_the_maps_themselves(make_localizer, images: torch.Tensor) -> None:
    output = make_localizer(pooling_decay=0.9, context={"scores": "context"})(images)
    expected = global_weighted_ranking_pooling(output.visual.maps, 0.9) - 1.5
    torch.testing.assert_close(output.visual.scores, expected)


def test_maps_are_scaled_products_of_the_tokens_that_are_given(make_localizer, images: torch.Tensor) -> None:
    localizer = make_localizer()
    localizer.text_correlation.scale.data.fill_(5.0)
    patches, _ = localizer.encoder.patches(images)
    attended = run_blocks(localizer.encoder.blocks, localizer.encoder.norm, localizer.tokens_at_input(), patches)
    output = localizer(images)
    expected = 5 * output.text.tokens @ attended.patches.mT / attended.patches.shape[-1] ** 0.5
    torch.testing.assert_close(output.text.maps, expected)


def test_the_context_is_what_the_equations_say(make_localizer, images: torch.Tensor) -> None:
    """T + lambda TL of one image and class, patch by patch in NumPy."""
    localizer = make_localizer(text_context_weight=0.5, context={"power": 3.0})
    patches, _ = localizer.encoder.patches(images)
    attended = run_blocks(localizer.encoder.blocks, localizer.encoder.norm, localizer.tokens_at_input(), patches)
    token, own = attended.class_tokens[1, 3 + 2].detach().numpy(), attended.patches[1].detach().numpy()
    seen = own @ token
    weights = ((seen - seen.min()) / (seen.max() - seen.min())) ** 3
    local = (weights / weights.sum()) @ (own - own.mean(axis=0))
    local *= np.linalg.norm(token) / np.linalg.norm(local)
    ours = localizer(images).text.tokens[1, 2].detach().numpy()
    np.testing.assert_allclose(ours, token + 0.5 * local, rtol=1e-3, atol=1e-4)


def test_maps_can_be_read_from_the_local_tokens_of_the_full_model(make_localizer, images: torch.Tensor) -> None:
    localizer = make_localizer()
    read = localizer.locate(images, MapSettings(representation="local")).maps
    localizer.method = localizer.method.model_copy(update={"representation": "local"})
    torch.testing.assert_close(localizer.locate(images, MapSettings()).maps, read)


def test_visual_class_scores_are_the_scaled_mean_of_the_token(make_localizer, images: torch.Tensor) -> None:
    localizer = make_localizer(representation="global")
    localizer.class_scale.data.fill_(3.0)
    output = localizer(images)
    torch.testing.assert_close(output.class_scores, 3 * output.visual.tokens.mean(dim=-1) - 1.5)


@pytest.mark.parametrize("kind", ["vit", "hybrid"])
def test_scales_and_biases_start_by_the_first_batch(make_localizer, images: torch.Tensor, kind: str) -> None:
    localizer = make_localizer(kind, representation="global").train()
    localizer.start(images)
    assert localizer.training
    output = localizer.eval()(images)
    for own in (output.visual, output.text):
        assert own.maps.var(dim=-1).mean().sqrt().item() == pytest.approx(1, rel=1e-3)
        assert own.scores.mean().item() == pytest.approx(-1.5, abs=1e-3)
    assert output.class_scores.mean().item() == pytest.approx(-1.5, abs=1e-3)
    width, size = output.visual.tokens.shape[-1], output.visual.tokens.pow(2).mean().sqrt().item()
    assert localizer.class_scale.item() == pytest.approx(width**0.5 / size, rel=1e-3)


def test_a_last_norm_hides_the_class_tokens_from_their_mean(make_localizer, images: torch.Tensor) -> None:
    """The mean over D of a normalised token is 0 whatever the token, which is why the norm is off."""
    normed = make_localizer("hybrid", representation="global", backbone={"last_norm": True})(images)
    torch.testing.assert_close(normed.class_scores, torch.full((2, 3), -1.5), atol=1e-5, rtol=0)


def test_the_entropy_of_the_context_is_logged_and_no_loss(make_localizer, images: torch.Tensor) -> None:
    losses = LocalizerObjective(make_localizer())(images, LABELS, torch.randn(2, 16))
    entropies = {name: value for name, value in losses.items() if "loss" not in name}
    assert set(entropies) == {"entropy_visual", "entropy_text"}
    assert all(0 < value < 1 and not value.requires_grad for value in entropies.values())
    plain = LocalizerObjective(make_localizer(representation="global"))(images, LABELS, torch.randn(2, 16))
    assert all("loss" in name for name in plain)


@pytest.mark.parametrize("kind", ["vit", "hybrid"])
def test_gradients_reach_what_is_learned_and_nothing_frozen(make_localizer, images: torch.Tensor, kind: str) -> None:
    localizer = make_localizer(kind).train()
    losses = LocalizerObjective(localizer)(images, LABELS, torch.randn(2, 16))
    sum(value for name, value in losses.items() if "loss" in name).backward()
    learned = [
        "visual_tokens",
        "visual_position",
        "text_embeddings",
        "text_mlp.fc1.weight",
        "language_projection.weight",
    ]
    parameters = dict(localizer.named_parameters())
    for name in learned:
        assert parameters[name].grad.abs().sum() > 0, name
    frozen = [name for name in parameters if ".cnn." in name or ".frozen." in name or "patch_embed" in name]
    assert frozen
    assert all(parameters[name].grad is None for name in frozen)


def test_vit_from_the_first_block_trains_its_patch_embedding(make_localizer, images: torch.Tensor) -> None:
    localizer = make_localizer("vit", backbone={"tokens_from_block": 0}).train()
    losses = LocalizerObjective(localizer)(images, LABELS, torch.randn(2, 16))
    sum(value for name, value in losses.items() if "loss" in name).backward()
    assert localizer.encoder.patch_embed.proj.weight.grad.abs().sum() > 0
    assert localizer.encoder.position.grad.abs().sum() > 0


def test_vit_patches_equal_timms_own_at_the_pretraining_size(make_localizer) -> None:
    """All blocks frozen but the last: what enters it is what timm's forward gives, position embedding unchanged."""
    encoder = make_localizer("vit", backbone={"tokens_from_block": 11}).encoder
    reference = timm.create_model("vit_tiny_patch16_224", pretrained=False).eval()
    names = {f"blocks.{position}.": block for position, block in enumerate([*encoder.frozen, *encoder.blocks])}
    for prefix, block in names.items():
        reference.get_submodule(prefix.rstrip(".")).load_state_dict(block.state_dict())
    reference.patch_embed.load_state_dict(encoder.patch_embed.state_dict(), strict=False)
    reference.cls_token.data, reference.pos_embed.data = encoder.prefix[0].data, encoder.position.data
    images = torch.randn(1, 3, 224, 224)
    expected = reference.forward_intermediates(images, indices=[10], output_fmt="NLC", intermediates_only=True)[0]
    patches, grid = encoder.patches(images)
    assert grid == (14, 14)
    torch.testing.assert_close(patches, expected, atol=1e-4, rtol=1e-4)


def test_loss_is_the_sum_of_its_parts_from_the_outputs(make_localizer, images: torch.Tensor) -> None:
    localizer = make_localizer(language_weight=0.3, temperature=0.2)
    embedding = torch.randn(2, 16)
    losses = LocalizerObjective(localizer)(images, LABELS, embedding)
    output = localizer(images)
    torch.testing.assert_close(losses["loss_text_maps"], binary_by_hand(output.text.scores))
    torch.testing.assert_close(losses["loss_visual_maps"], binary_by_hand(output.visual.scores))
    torch.testing.assert_close(losses["loss_class_tokens"], binary_by_hand(output.class_scores))
    predicted = localizer.language_projection(mean_of_own_classes(output.text.tokens, LABELS))
    torch.testing.assert_close(losses["loss_language"], 0.3 * contrastive_loss(predicted, embedding, 0.2))


def binary_by_hand(scores: torch.Tensor) -> torch.Tensor:
    """Multi-label soft margin: the mean over classes and images of binary cross-entropies."""
    return F.binary_cross_entropy_with_logits(scores, LABELS)


@pytest.mark.parametrize("tokens", ["visual", "multimodal"])
@pytest.mark.parametrize("representation", ["global", "local", "global_local"])
@pytest.mark.parametrize("attention", ["map", "softmax"])
@pytest.mark.parametrize("scores", ["tokens", "context"])
def test_every_variant_trains(make_localizer, images, tokens, representation, attention, scores) -> None:
    localizer = make_localizer(
        tokens=tokens,
        representation=representation,
        context={"attention": attention, "scores": scores},
        language_context="none" if tokens == "visual" else "image_contrastive",
    )
    losses = LocalizerObjective(localizer)(images, LABELS, torch.randn(2, 16))
    assert {name for name in losses if "loss" in name} == {"loss_class_tokens", "loss_visual_maps"} | (
        set() if tokens == "visual" else {"loss_text_maps", "loss_language"}
    )
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_caption_l1_is_the_mean_distance_of_unit_vectors(make_localizer, images: torch.Tensor) -> None:
    localizer = make_localizer(language_context="caption_l1")
    embedding = torch.randn(2, 16)
    losses = LocalizerObjective(localizer)(images, LABELS, embedding)
    predicted = localizer.language_projection(mean_of_own_classes(localizer(images).text.tokens, LABELS))
    expected = (F.normalize(predicted, dim=1) - F.normalize(embedding, dim=1)).abs().mean()
    torch.testing.assert_close(losses["loss_language"], expected)


def test_frozen_features_give_what_the_images_give(make_localizer, images: torch.Tensor) -> None:
    localizer = make_localizer("hybrid")
    torch.testing.assert_close(
        localizer(localizer.encoder.pyramid.features(images)).text.maps, localizer(images).text.maps
    )


def test_wrong_backbone_settings_are_named(make_localizer) -> None:
    with pytest.raises(SettingsError, match="tokens_from_block: 12"):
        make_localizer("vit", backbone={"tokens_from_block": 12})
    with pytest.raises(SettingsError, match="strides"):
        make_localizer("hybrid", backbone={"strides": (16, 64)})


def test_sum_is_text_plus_visual(make_localizer, images: torch.Tensor) -> None:
    localizer = make_localizer()
    maps = {source: localizer.locate(images, MapSettings(source=source)).maps for source in ("text", "visual", "sum")}
    torch.testing.assert_close(maps["sum"], maps["text"] + maps["visual"])
    assert (maps["sum"] >= 0).all()


def test_attention_options_follow_their_definition(make_localizer, images: torch.Tensor) -> None:
    localizer = make_localizer("vit")
    output = localizer(images, attention=Attention(2, 2))
    plain = torch.relu(output.text.maps) * output.class_attention[:, 3:]
    smooth = torch.einsum("bcn,bmn->bcm", plain, output.patch_attention)
    settings = MapSettings(
        source="text", class_attention=True, patch_affinity=True, attention_blocks=2, affinity_blocks=2
    )
    torch.testing.assert_close(localizer.locate(images, settings).maps.flatten(2), smooth)


def test_visual_only_localizer_gives_its_visual_maps(make_localizer, images: torch.Tensor) -> None:
    localizer = make_localizer(tokens="visual", language_context="none")
    expected = torch.relu(localizer(images).visual.maps)
    torch.testing.assert_close(localizer.locate(images, MapSettings(source="sum")).maps.flatten(2), expected)
