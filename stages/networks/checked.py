"""A localizer's backbone, built once before any long work, so that one that does not fit is told at the start."""

from typing import Any

import torch

from stages.errors import SettingsError, in_one_line
from stages.networks.frozen_patches import check_frozen_patches
from stages.networks.pyramid import build_pyramid
from stages.networks.timm_names import name_fault
from stages.networks.vit import build_vit
from stages.settings import CnnBackbone, FrozenBackbone, HybridBackbone, TowerBackbone, VitBackbone

# Patches of the trial: odd numbers, so that the sides are no multiples of a CNN's larger strides.
TRIAL_GRID = (5, 7)


def check_backbone(settings: VitBackbone | HybridBackbone | CnnBackbone | FrozenBackbone | TowerBackbone) -> None:
    """Raises SettingsError, naming the model, if the backbone of these settings cannot be built, or its CNN run."""
    if isinstance(settings, FrozenBackbone):
        check_frozen_patches(settings, place=settings.place)
        return
    if isinstance(settings, VitBackbone):
        build_vit(settings)
        return
    if isinstance(settings, TowerBackbone):
        from stages.networks.towers.build import open_packaged  # open_clip takes seconds to import; few need it here

        open_packaged(settings)
        return
    if fault := name_fault(settings.model):
        raise SettingsError(f"localize.backbone.model: {fault}")
    place = f"localize.backbone.model: {settings.model}"
    try:
        pyramid: Any = build_pyramid(settings, None).eval()
        rows, columns = (side * pyramid.stride for side in TRIAL_GRID)
        with torch.inference_mode():
            pyramid(torch.zeros(1, 3, rows, columns))
    except SettingsError:
        raise
    # timm's constructors and networks raise anything; in any case the backbone does not fit.
    except Exception as error:
        said = in_one_line(error).rstrip(".")
        reason = f" ({said})" if said else ""
        raise SettingsError(
            f"{place} cannot give feature maps of strides {list(settings.strides)} for images of any size{reason};"
            " choose a timm CNN, such as resnet50 or tf_efficientnet_lite0, that can"
        ) from error
