"""Training of the localizer by an mmengine Runner that resumes from its work folder."""

import logging
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import Runner
from torch.utils.data import Dataset

from stages.localize.objective import LocalizerObjective
from stages.runtime.launch import CPU_WRAPPER, batch_share, ranks
from stages.settings import LocalizerTraining
from stages.training import runner_defaults

log = logging.getLogger(__name__)

FINAL_SHARE = 0.01  # of the peak rate, if the settings give no final rate


def train_localizer(
    objective: LocalizerObjective, dataset: Dataset, settings: LocalizerTraining, *, seed: int, work: Path, resume: bool
) -> None:
    """Trains `objective` in place for the settings' epochs; checkpoints and logs go to `work`.

    resume: continue from the last checkpoint in `work`.
    """
    loader: dict[str, Any] = {
        "dataset": dataset,
        "batch_size": batch_share(settings.batch_size, "localize.training.batch_size"),
        "num_workers": settings.workers,
        "persistent_workers": settings.workers > 0,
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "collate_fn": {"type": "default_collate"},
        "drop_last": len(dataset) >= settings.batch_size,  # type: ignore[arg-type]
    }
    steps = len(dataset) // settings.batch_size or 1  # type: ignore[arg-type]
    warmup = min(int(settings.warmup_epochs * steps), settings.epochs * steps - 1)
    runner = Runner(
        model=objective,
        work_dir=str(work),
        train_dataloader=loader,
        train_cfg={"by_epoch": True, "max_epochs": settings.epochs},
        optim_wrapper=optimizer_settings(objective, settings),
        param_scheduler=schedule(settings, steps, warmup),
        resume=resume,
        launcher="pytorch" if ranks() > 1 else "none",
        cfg={} if torch.cuda.is_available() else {"model_wrapper_cfg": CPU_WRAPPER},
        **runner_defaults(
            section="localize.training",
            seed=seed,
            log_every=max(1, steps // 2),
            checkpoint_every=settings.checkpoint_every,
            by_epoch=True,
        ),
    )
    runner.train()


def optimizer_settings(objective: LocalizerObjective, settings: LocalizerTraining) -> dict[str, Any]:
    """AdamW for mmengine, with the rates of the localizer's parts that have their own."""
    return {
        "type": "Bfloat16OptimWrapper",
        # Fused, one pass over a parameter's state: six times as fast on a CPU as a pass for each operation.
        "optimizer": {
            "type": "AdamW",
            "lr": settings.learning_rate,
            "weight_decay": settings.weight_decay,
            "fused": True,
        },
        "paramwise_cfg": {
            "norm_decay_mult": 0.0,
            "bias_decay_mult": 0.0,
            "custom_keys": {
                f"localizer.{part}": {"lr_mult": factor}
                for part, factor in objective.localizer.learning_rates().items()
            },
        },
        "clip_grad": {"max_norm": settings.gradient_clip} if settings.gradient_clip else None,
    }


def schedule(settings: LocalizerTraining, steps: int, warmup: int) -> list[dict[str, Any]]:
    """Linear warm-up, then a cosine decay to the final rate, both by step."""
    total = settings.epochs * steps
    # As a ratio, so that parts with their own rate keep the same ratio.
    final = FINAL_SHARE if settings.final_rate is None else settings.final_rate / settings.learning_rate
    cosine = {
        "type": "CosineAnnealingLR", "by_epoch": False, "begin": warmup, "end": total,
        "T_max": max(1, total - warmup), "eta_min_ratio": final,
    }  # fmt: skip
    # mmengine's linear warm-up reaches the full rate one step before its end, so over a single step it never does.
    if warmup < 2:
        return [cosine]
    return [{"type": "LinearLR", "start_factor": 0.01, "by_epoch": False, "begin": 0, "end": warmup}, cosine]
