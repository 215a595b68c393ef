"""What the localizers on a frozen CLIP have in common; nothing is trained.

B images, C classes, E width of the joint space.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import TypeAdapter
from torch import Tensor

from stages.errors import DataError
from stages.localize.localizer import Localizer, StateDict
from stages.networks.towers.build import build_image_tower, check_attends, image_statistics, open_tower
from stages.settings import ClipModel, LocalizeSettings, OnClip


class ClipLocalizer(Localizer):
    """A localizer that compares an image with class texts by a frozen CLIP; nothing is trained.

    Args:
        tower: the text-image model, as in `encode.clip`; stored with the weights of its image tower.

    Raises SettingsError for a tower whose patches cannot be projected, or without the attention that the method needs,
    DataError for weights of a different tower.
    """

    trained = False

    def __init__(
        self, settings: LocalizeSettings, text: Tensor, weights: StateDict | None, *, tower: Mapping[str, Any]
    ) -> None:
        super().__init__(settings, text, weights)
        self.described = {"tower": tower}
        chosen = TypeAdapter(ClipModel).validate_python(tower)
        self.tower = build_image_tower(chosen).requires_grad_(False)
        self.opened = open_tower(self.tower, chosen, settings.method.kind)
        if isinstance(settings.method, OnClip):
            check_attends(self.opened, chosen, settings.method.needs_attention)
        self.stride, self.statistics = self.opened.stride, image_statistics(chosen, self.tower)
        # A buffer, so that the localizer's file is complete.
        self.text: Tensor
        self.register_buffer("text", F.normalize(text.detach().float(), dim=1))  # [C, E]
        if weights is not None:
            try:
                self.tower.load_state_dict(weights)
            except RuntimeError as error:
                raise DataError(f"weights of another image tower than they describe: {error}") from error

    def class_scores(self, embedded: Tensor, temperature: float) -> Tensor:
        """Scores of image embeddings [B, E], [B, C]: log(C p), p the softmax over the classes of the cosines of image
        and texts divided by `temperature`.

        Nothing is trained, so there is no learned offset between cosines and probabilities; with this one the sigmoid
        is 0.5 when a class is as likely as chance, 1/C. Several classes of one image can reach it; the only class of
        a list always does.
        """
        # CLIP's cosines differ by hundredths, which bfloat16 would round off.
        with torch.autocast(embedded.device.type, enabled=False):
            cosines = F.normalize(embedded.float(), dim=1) @ self.text.float().T
            return (cosines / temperature).log_softmax(dim=1) + math.log(self.classes)
