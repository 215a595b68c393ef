"""What the localizer is trained on: the sum of multi-label soft margins and the image-language context loss."""

import torch
import torch.distributed.nn.functional
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor

from stages.localize.model import Localizer
from stages.localize.tokens import contrastive_loss, mean_of_own_classes


class LocalizerObjective(BaseModel):
    """The localizer as mmengine trains it.

    L = MLSM(y_cls) + MLSM(y_t2p) + MLSM(y_c2p) + w * L_language (DESIGN; MMCST, equations of section 3).
    """

    def __init__(self, localizer: Localizer) -> None:
        super().__init__()
        self.localizer = localizer

    def forward(
        self, inputs: Tensor | list[Tensor], labels: Tensor, embedding: Tensor, mode: str = "loss"
    ) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            inputs: normalised images [B, 3, H, W], or frozen features of them.
            labels: tags, [B, C] in {0, 1}.
            embedding: e, frozen language-aligned embedding of each image, [B, E]; [B, 0] where there is none.
            mode: mmengine's; only `loss` is known, maps are made outside mmengine.
        """
        if mode != "loss":
            raise ValueError(f"mode {mode!r}: the objective only knows 'loss'")
        settings = self.localizer.settings
        output = self.localizer(inputs)
        names = ["loss_class_tokens", *(["loss_text_maps"] if output.text is not None else []), "loss_visual_maps"]
        losses = {
            name: F.multilabel_soft_margin_loss(scores.float(), labels)
            for name, scores in zip(names, output.classifiers, strict=True)
        }
        if output.text is not None and settings.language_context != "none":
            predicted = self.localizer.language_projection(mean_of_own_classes(output.text.tokens, labels)).float()
            losses["loss_language"] = settings.language_weight * self._language_loss(predicted, embedding)
        return losses

    def _language_loss(self, predicted: Tensor, embedding: Tensor) -> Tensor:
        settings = self.localizer.settings
        if settings.language_context == "caption_l1":
            return F.l1_loss(F.normalize(predicted, dim=-1), F.normalize(embedding, dim=-1))
        return contrastive_loss(over_all_ranks(predicted), over_all_ranks(embedding), settings.temperature)


def over_all_ranks(batch: Tensor) -> Tensor:
    """The batches of all ranks one after the other, with gradient; the batch itself where there is one process."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return batch
    return torch.cat(torch.distributed.nn.functional.all_gather(batch))
