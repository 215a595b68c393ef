"""A loss for noisy masks."""

from collections.abc import Sequence
from typing import Any

from mmseg.registry import MODELS
from torch import Tensor, nn, where


@MODELS.register_module()
class BootstrappedCrossEntropyLoss(nn.Module):
    """kept * CE(mask) + (1 - kept) * CE(the model's own best class), each a mean over the pixels that are not ignored.

    Reed et al., "Training deep neural networks on noisy labels with bootstrapping", ICLR 2015 workshop, equation 7
    ("hard"). With `kept` 1 it is mmsegmentation's CrossEntropyLoss. class_weight: [labels] or None.
    """

    def __init__(self, *, kept: float, class_weight: Sequence[float] | None = None) -> None:
        super().__init__()
        self.kept = kept
        self.cross_entropy = MODELS.build({"type": "CrossEntropyLoss", "class_weight": class_weight})
        self.loss_name = "loss_bootstrapped"

    def forward(
        self, cls_score: Tensor, label: Tensor, weight: Tensor | None = None, ignore_index: int = 255, **_: Any
    ) -> Tensor:
        """cls_score [B, labels, rows, columns], label [B, rows, columns] int64, weight of pixels as label -> scalar."""
        found = where(label == ignore_index, label, cls_score.detach().argmax(dim=1))
        return self.kept * self.cross_entropy(cls_score, label, weight, ignore_index=ignore_index) + (
            1 - self.kept
        ) * self.cross_entropy(cls_score, found, weight, ignore_index=ignore_index)
