"""From the settings of a text-image model to its image tower, with random weights, opened for the localizers."""

from collections.abc import Sequence
from typing import Any

import open_clip
from open_clip.model import _build_vision_tower
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import nn

from stages.errors import SettingsError
from stages.networks.timm_names import name_fault
from stages.networks.towers.open_clip_vit import OpenClipVit
from stages.networks.towers.timm_cnn import TimmCnn
from stages.networks.towers.timm_vit import TimmVit, take_any_size
from stages.networks.towers.tower import ImageTower, VitTower
from stages.settings import NeedsAttention, PretrainedClip, TowerBackbone, TowerClip

Statistics = tuple[Sequence[float], Sequence[float]]


def build_image_tower(settings: PretrainedClip | TowerClip) -> nn.Module:
    """The image tower of a CLIP model, open_clip's `model.visual`, with random weights. Nothing is downloaded.

    Raises SettingsError when open_clip does not know the model.
    """
    if isinstance(settings, TowerClip):
        vision = {"timm_model_name": settings.image_tower, "image_size": settings.image_size}
        visual = _build_vision_tower(settings.width, vision)
    else:
        config = open_clip.get_model_config(settings.model) if settings.model in open_clip.list_models() else None
        if config is None:
            raise SettingsError(f"encode.clip.model: open_clip has no {settings.model!r}; see open_clip.list_models()")
        tag = open_clip.get_pretrained_cfg(settings.model, settings.pretrained)
        # Some tags' weights (OpenAI's) were trained with a different activation than open_clip's model of that name.
        quick_gelu = config.get("quick_gelu", False) or tag.get("quick_gelu", False)
        vision = config["vision_cfg"] | {"timm_model_pretrained": False}
        visual = _build_vision_tower(config["embed_dim"], vision, quick_gelu=quick_gelu)
    take_any_size(visual)
    return visual


def image_statistics(settings: PretrainedClip | TowerClip, visual: nn.Module) -> Statistics:
    """Mean and deviation for normalising a CLIP model's images, RGB in [0, 1]: those of the weights' tag, OpenAI's for
    weights from a file (as in open_clip), the tower's own for packaged towers."""
    if isinstance(settings, TowerClip):
        return visual.trunk.default_cfg["mean"], visual.trunk.default_cfg["std"]  # type: ignore[union-attr,index,return-value]
    tag = open_clip.get_pretrained_cfg(settings.model, settings.pretrained)
    return tag.get("mean", open_clip.OPENAI_DATASET_MEAN), tag.get("std", open_clip.OPENAI_DATASET_STD)


def open_packaged(settings: TowerBackbone) -> ImageTower:
    """A packaged tower with random weights. Raises SettingsError if the localizer cannot use it."""
    if fault := name_fault(settings.model):
        raise SettingsError(f"encode.clip.image_tower: {fault}")
    chosen = TowerClip(kind="towers", image_tower=settings.model)
    opened = open_tower(build_image_tower(chosen).eval(), chosen, settings.method)
    if settings.needs:
        check_attends(opened, chosen, NeedsAttention(settings.needs, settings.cure))
    return opened


def check_attends(opened: ImageTower, settings: PretrainedClip | TowerClip, needs: NeedsAttention | None) -> None:
    """Raises SettingsError if a setting needs a tower that attends, and this one is a CNN."""
    if needs is not None and not isinstance(opened, VitTower):
        field = _field(settings)
        raise SettingsError(
            f"localize.method.{needs.setting} needs the attention of a ViT, and {getattr(settings, field)}"
            f" (encode.clip.{field}) is a CNN; {needs.cure}, or choose a ViT there"
        )


def open_tower(visual: Any, settings: PretrainedClip | TowerClip, kind: str) -> ImageTower:
    """An image tower, opened. Raises SettingsError, naming it, if its patches cannot be projected as method `kind`
    does."""
    if isinstance(visual, VisionTransformer):
        opened: Any = OpenClipVit
    elif TimmVit.is_one(visual):
        opened = TimmVit
    else:
        opened = TimmCnn
    known = isinstance(visual, (VisionTransformer, TimmModel))
    reason = opened.fault(visual) if known else "is neither a ViT nor one of timm's networks"
    if reason:
        field = _field(settings)
        raise SettingsError(
            f"encode.clip.{field}: the patches of {getattr(settings, field)!r} cannot be compared with texts, as"
            f" localize.method.kind {kind!r} does: it {reason}; choose a plain ViT (such as ViT-B-16 or"
            " ViT-B-16-SigLIP) or a timm CNN that pools by a mean"
        )
    return opened(visual)


def _field(settings: PretrainedClip | TowerClip) -> str:
    """The setting below `encode.clip` that names the tower."""
    return "image_tower" if isinstance(settings, TowerClip) else "model"
