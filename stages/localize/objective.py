"""The localizer as mmengine trains it."""

from mmengine.model import BaseModel
from torch import Tensor

from stages.localize.localizer import Localizer


class LocalizerObjective(BaseModel):
    """Hands mmengine the losses of any localizer."""

    def __init__(self, localizer: Localizer) -> None:
        super().__init__()
        self.localizer = localizer

    def forward(
        self, inputs: Tensor | list[Tensor], labels: Tensor, embedding: Tensor, mode: str = "loss"
    ) -> dict[str, Tensor]:
        """Losses of a batch, from `Localizer.losses`. `mode` is mmengine's; maps are made elsewhere."""
        if mode != "loss":
            raise ValueError(f"mode {mode!r}: the objective only knows 'loss'")
        return self.localizer.losses(inputs, labels, embedding)
