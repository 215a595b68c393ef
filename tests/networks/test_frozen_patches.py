"""Frozen networks whose patches are compared: timm's own features, on any size, and what does not fit."""

import pytest
import timm
import torch

from stages.errors import SettingsError
from stages.networks.checked import check_backbone
from stages.networks.frozen_patches import FrozenPatches
from stages.networks.pyramid import Pyramid
from stages.settings import FeaturesAffinity, FrozenBackbone, FrozenNetwork, ProxySettings

PLACE = "refine.affinity"


def frozen(model: str, strides: tuple[int, ...] | None = None, *, weights: dict | None = None) -> FrozenPatches:
    torch.manual_seed(0)
    return FrozenPatches(FrozenNetwork(model=model, strides=strides), weights, place=PLACE)


def normalised(images: torch.Tensor, config: dict) -> torch.Tensor:
    mean, deviation = (torch.tensor(config[name]).view(3, 1, 1) for name in ("mean", "std"))
    return (images - mean) / deviation


@pytest.mark.parametrize("model", ["test_vit", "test_vit3", "vit_tiny_patch16_224.augreg_in21k_ft_in1k"])
def test_a_vit_gives_timms_own_patches(model: str) -> None:
    """At the size it was trained with; class tokens and registers are left out."""
    reference = timm.create_model(model, pretrained=False).eval()
    patches = frozen(model, weights=reference.state_dict())
    images = torch.rand(2, 3, *reference.patch_embed.img_size)
    tokens = reference.forward_features(normalised(images, reference.pretrained_cfg))[:, reference.num_prefix_tokens :]
    rows, columns = reference.patch_embed.grid_size
    expected = tokens.mT.unflatten(2, (rows, columns))
    torch.testing.assert_close(patches(images), expected, atol=1e-5, rtol=1e-4)
    assert not any(own.requires_grad for own in patches.parameters())


@pytest.mark.parametrize(
    ("model", "stride"), [("test_vit2", 16), ("vit_tiny_r_s16_p8_224", 32), ("eva02_tiny_patch14_224", 14)]
)
def test_a_vit_takes_images_of_any_size_to_the_nearest_number_of_patches(model: str, stride: int) -> None:
    patches = frozen(model)
    assert patches.stride == stride
    images = torch.rand(1, 3, 4 * stride + 1, 6 * stride - 2)
    assert patches(images).shape[2:] == (4, 6)
    assert patches(torch.rand(1, 3, 3, 2 * stride)).shape[2:] == (1, 2)


def test_rows_and_columns_are_those_of_the_image() -> None:
    patches = frozen("test_vit")
    images = torch.rand(1, 3, 64, 96)
    whole = patches(images)
    images[..., 16:32, 80:96] = 0.5  # the patch in row 1, column 5, changes most
    change = (patches(images) - whole).norm(dim=1)[0]
    assert divmod(int(change.argmax()), change.shape[1]) == (1, 5)


def test_a_cnn_gives_its_feature_maps_stacked() -> None:
    reference = timm.create_model("test_efficientnet", pretrained=False)
    patches = frozen("test_efficientnet", (16, 32), weights=reference.state_dict())
    pyramid = Pyramid(
        *("test_efficientnet", (16, 32)), output_stride=32, frozen=True, dropout=0.0, weights=reference.state_dict()
    ).eval()
    images = torch.rand(2, 3, 70, 100)
    assert patches.stride == 16
    torch.testing.assert_close(patches(images), pyramid(normalised(images, reference.pretrained_cfg)))
    assert patches(images).shape[2:] == (5, 7)
    assert not patches.train().training
    assert not any(own.training for own in patches.modules())


@pytest.mark.parametrize(
    ("model", "strides", "message"),
    [
        ("test_vitt", None, "refine.affinity.model: timm has no model 'test_vitt'; did you mean test_vit"),
        (
            "test_vit",
            (16,),
            r"refine.affinity.strides: \[16\] are for a CNN, and test_vit is a ViT, .*; leave them out",
        ),
        (
            "resnet18",
            None,
            "refine.affinity.model: resnet18 is no ViT .*, and no strides are given; choose a ViT, such as",
        ),
        ("resnet18", (5,), r"refine.affinity.strides: resnet18 has feature maps of strides .*, not of \[5\]"),
        ("swin_tiny_patch4_window7_224", None, "swin_tiny_patch4_window7_224 is no ViT for images of any size"),
        ("mixer_s32_224", (32,), "refine.affinity.model: mixer_s32_224 gives no patches"),
    ],
)
def test_what_does_not_fit_is_named_before_its_weights_are_loaded(model: str, strides, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        check_backbone(FrozenBackbone(model=model, strides=strides, place=PLACE))


def test_what_is_checked_is_the_network_alone() -> None:
    proxy, affinity = ProxySettings(model="test_vit", beta=2.0), FeaturesAffinity(kind="features", model="test_vit")
    first, second = FrozenBackbone.of(proxy, "localize.method.proxy"), FrozenBackbone.of(affinity, "refine.affinity")
    assert first.model_dump() == {
        **{"kind": "frozen", "place": "localize.method.proxy"},
        **{"model": "test_vit", "strides": None},
    }
    assert second == first.model_copy(update={"place": "refine.affinity"})
    check_backbone(first)
