"""Ends a training at the first loss that is not finite, before a checkpoint holds weights that are not."""

import math
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch import Tensor

from stages.errors import DataError
from stages.finite import is_finite

CAUSES = (
    "likely causes: a learning rate that is too high (with few images a step, or without warm-up), pretrained weights"
    " that do not fit, or a loss's weight that is too large"
)


def check_losses(section: str, step: int, losses: dict[str, Any], *, rate: float) -> None:
    """Raises DataError if a loss is not finite: the training's section, the step from 1, all losses by name, causes.

    losses: numbers or tensors of one number.  rate: the highest learning rate of the step.
    """
    values = {name: value.item() if isinstance(value, Tensor) else float(value) for name, value in losses.items()}
    if all(map(math.isfinite, values.values())):
        return
    named = ", ".join(f"{name} {value:g}" for name, value in values.items())
    raise DataError(
        f"{section}: the training ends at step {step}, where a loss is not finite ({named}; learning rate {rate:g});"
        f" {CAUSES}. Lower {section}.learning_rate, or look at the curves of the steps before; the last checkpoint and"
        " all results before this training are kept"
    )


@HOOKS.register_module()
class EndAtFirstNonFinite(Hook):
    """Ends a training by mmengine at its first loss that is not finite, and before a checkpoint with such weights."""

    # After the hook that reads the losses from the device anyway, before those that log and save.
    priority = "HIGH"

    def __init__(self, section: str) -> None:
        self.section = section

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs: dict[str, Any] | None = None) -> None:
        losses = {name: value for name, value in (outputs or {}).items() if "loss" in name}
        rate = max(group["lr"] for group in runner.optim_wrapper.param_groups)
        check_losses(self.section, runner.iter + 1, losses, rate=rate)

    def before_save_checkpoint(self, runner, checkpoint: dict[str, Any]) -> None:
        wrong = [name for name, value in checkpoint["state_dict"].items() if not is_finite(value)]
        if wrong:
            raise DataError(
                f"{self.section}: the training ends where a checkpoint was due: every loss was finite, but not the"
                f" weights after the last step ({len(wrong)} tensors, first {wrong[0]}); {CAUSES}. Lower"
                f" {self.section}.learning_rate; the last checkpoint is kept"
            )
