"""Trains the projections of packaged towers on pairs of images and texts, with the towers frozen."""

import itertools
import logging
from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from stages.devices import autocast
from stages.encode.clip import PROJECTIONS, Clip
from stages.encode.pairs import Pairs, Texts, known_ids, positives
from stages.finite_losses import check_losses
from stages.settings import TowerClip

log = logging.getLogger(__name__)

TEXT_BATCH = 1024  # texts per pass through the tower


def train_projections(
    clip: Clip, pairs: Sequence[Pairs], texts: Texts, *, settings: TowerClip, device: torch.device
) -> dict[str, Tensor]:
    """Trains `visual.head`, `text.proj` and `logit_scale` contrastively; returns them as a state dict.

    The towers are frozen, so their outputs are computed once. Each step draws one of a view's two texts.
    """
    model = clip.model.to(device)
    choices = torch.tensor([chosen for source in pairs for chosen in source.texts])  # [views, 2]
    views = itertools.chain.from_iterable(source.views for source in pairs)
    features = _image_features(clip, views, len(choices), settings.batch_size, device)
    text_features = _text_features(clip, texts.texts, device)
    known, ids = known_ids(pairs, texts), torch.tensor(texts.ids)
    heads = nn.ModuleDict({"image": model.visual.head, "text": model.text.proj})
    parameters = [*heads.parameters(), model.logit_scale]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs)
    step = 0
    for epoch in tqdm(range(settings.epochs), desc="projections", unit="epoch"):
        losses = []
        for batch in torch.randperm(len(features)).split(settings.batch_size):
            drawn = choices[batch, torch.randint(2, (len(batch),))]
            image = F.normalize(heads["image"](features[batch].to(device)), dim=-1)
            text = F.normalize(heads["text"](text_features[drawn].to(device)), dim=-1)
            positive = positives(ids[drawn], known[batch]).to(device)
            loss = positives_loss(model.logit_scale.exp() * image @ text.T, positive)
            step += 1
            check_losses("encode.clip", step, {"loss": loss}, rate=float(schedule.get_last_lr()[0]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        schedule.step()
        if epoch % 10 == 0:
            log.info("projections: epoch %d, loss %.3f", epoch, np.mean(losses))
    return {
        name: value.detach().cpu().clone() for name, value in model.state_dict().items() if name.startswith(PROJECTIONS)
    }


def positives_loss(logits: Tensor, positive: Tensor) -> Tensor:
    """Symmetric cross-entropy of similarities [B, B], rows images and columns texts, where `positive` [B, B] bool marks
    the texts that are true of an image; each row and column has at least one.

    Source: InfoNCE as in CLIP (Radford et al., ICML 2021), with the targets spread over all positives.
    """
    return (_spread_entropy(logits, positive) + _spread_entropy(logits.T, positive.T)) / 2


def _spread_entropy(logits: Tensor, positive: Tensor) -> Tensor:
    target = positive.float()
    return F.cross_entropy(logits, target / target.sum(dim=1, keepdim=True))


@torch.inference_mode()
def _image_features(
    clip: Clip, views: Iterable[Image.Image], total: int, batch_size: int, device: torch.device
) -> Tensor:
    """Outputs of the image tower before its projection, [views, width]."""
    features, batch = [], []
    trunk = clip.model.visual.trunk
    for number, image in enumerate(tqdm(views, total=total, desc="tower features", unit="view"), start=1):
        batch.append(clip.preprocess(image))
        if len(batch) == batch_size or number == total:
            with autocast(device):
                features.append(trunk(torch.stack(batch).to(device)).float().cpu())
            batch = []
    return torch.cat(features).clone()


@torch.inference_mode()
def _text_features(clip: Clip, texts: Sequence[str], device: torch.device) -> Tensor:
    """Outputs of the text tower before its projection, [texts, width]."""
    text, features = clip.model.text, []
    for start in range(0, len(texts), TEXT_BATCH):
        tokens = clip.tokenize(list(texts[start : start + TEXT_BATCH])).to(device)
        mask = (tokens != text.config.pad_token_id).long()
        features.append(text.pooler(text.transformer(input_ids=tokens, attention_mask=mask), mask).cpu())
    return torch.cat(features).clone()
