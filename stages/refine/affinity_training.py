"""Training of the affinity network by an mmengine Runner that resumes from its work folder."""

from pathlib import Path
from typing import Any

from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import Dataset

from stages.refine.affinity_net import AffinityNet
from stages.refine.affinity_pairs import affinity_loss, pair_affinities, pair_labels
from stages.settings import AffinityTraining
from stages.training import runner_defaults

POLY_POWER = 0.9  # as in PSA


class AffinityObjective(BaseModel):
    """Hands mmengine the loss of the affinity network."""

    def __init__(self, net: AffinityNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, inputs: Tensor, regions: Tensor, mode: str = "loss") -> dict[str, Tensor]:
        """Loss of crops [B, 3, crop, crop] with sure regions [B, rows, columns] of the nodes. `mode` is mmengine's."""
        if mode != "loss":
            raise ValueError(f"mode {mode!r}: the objective only knows 'loss'")
        radius = self.net.settings.radius
        affinities = pair_affinities(self.net(inputs).float(), radius)
        return {"loss_affinity": affinity_loss(affinities, pair_labels(regions, radius))}


def train_affinity(
    objective: AffinityObjective, dataset: Dataset, settings: AffinityTraining, *, seed: int, work: Path, resume: bool
) -> None:
    """Trains `objective` in place; checkpoints and logs go to `work`. SGD without momentum, polynomial decay (PSA)."""
    count = len(dataset)  # type: ignore[arg-type]
    steps = count // settings.batch_size or 1
    loader: dict[str, Any] = {
        "dataset": dataset,
        "batch_size": settings.batch_size,
        "num_workers": settings.workers,
        "persistent_workers": settings.workers > 0,
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "collate_fn": {"type": "default_collate"},
        "drop_last": count >= settings.batch_size,
    }
    runner = Runner(
        model=objective,
        work_dir=str(work),
        train_dataloader=loader,
        train_cfg={"by_epoch": True, "max_epochs": settings.epochs},
        optim_wrapper={
            "type": "Bfloat16OptimWrapper",
            "optimizer": {"type": "SGD", "lr": settings.learning_rate, "weight_decay": settings.weight_decay},
            "paramwise_cfg": {
                "bias_decay_mult": 0.0,
                "custom_keys": {"net.backbone": {"lr_mult": settings.backbone_rate}},
            },
        },
        param_scheduler=[
            {"type": "PolyLR", "power": POLY_POWER, "eta_min": 0.0, "end": settings.epochs * steps, "by_epoch": False}
        ],
        resume=resume,
        **runner_defaults(
            section="refine.affinity.training",
            seed=seed,
            log_every=max(1, steps // 4),
            checkpoint_every=settings.checkpoint_every,
            by_epoch=True,
        ),
    )
    runner.train()
