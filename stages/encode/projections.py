"""Trains the projections of packaged towers on cut-outs and their captions, the towers frozen."""

import csv
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor, nn
from tqdm import tqdm

from stages.devices import autocast
from stages.encode.clip import PROJECTIONS, Clip
from stages.errors import DataError
from stages.images import read_image
from stages.settings import TowerClip

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cutout:
    """A photographic cut-out: an image with alpha, its class and its caption."""

    path: Path
    name: str
    caption: str


def read_cutouts(root: Path) -> list[Cutout]:
    """The training cut-outs of a composed set (`Cutouts/train.csv`: image, class, caption). Raises DataError."""
    listing = root / "Cutouts" / "train.csv"
    if not listing.is_file():
        raise DataError(f"{listing}: no such list; `encode.clip.kind: towers` works for the composed demo set alone")
    with listing.open(newline="", encoding="utf-8") as stream:
        return [Cutout(root / row["image"], row["class"], row["caption"]) for row in csv.DictReader(stream)]


def compose_views(
    cutouts: Sequence[Cutout], backgrounds: Sequence[Image.Image], *, views: int, side: int, seed: int
) -> Iterator[tuple[int, Image.Image]]:
    """Yields (position of the cut-out, RGB image of `side` x `side`): each cut-out `views` times over a background."""
    random = np.random.default_rng(seed)
    for position, cutout in enumerate(cutouts):
        with Image.open(cutout.path) as stored:
            source = stored.convert("RGBA")
        for _ in range(views):
            background = backgrounds[int(random.integers(len(backgrounds)))]
            scale = side / min(background.size) * random.uniform(1.0, 2.0)
            columns, rows = (max(side, round(length * scale)) for length in background.size)
            left, top = (int(random.integers(length - side + 1)) for length in (columns, rows))
            view = background.resize((columns, rows)).crop((left, top, left + side, top + side))
            factor = side * random.uniform(0.4, 0.95) / max(source.size)
            pasted = source.resize([max(1, round(length * factor)) for length in source.size])
            if random.random() < 0.5:
                pasted = ImageOps.mirror(pasted)
            place = [int(random.integers(side - length + 1)) for length in pasted.size]
            view.paste(pasted, (place[0], place[1]), pasted)
            yield position, view


def train_projections(
    clip: Clip, root: Path, *, settings: TowerClip, templates: Sequence[str], seed: int, device: torch.device
) -> dict[str, Tensor]:
    """Trains `visual.head`, `text.proj` and `logit_scale` contrastively; returns them as a state dict.

    The towers are frozen, so their outputs are computed once. A view's text is its cut-out's caption or, half the
    time, a prompt with its class name; views of equal text are positives of one another.
    """
    torch.manual_seed(seed)
    cutouts = read_cutouts(root)
    backgrounds = [read_image(path) for path in sorted((root / "Backgrounds" / "train").glob("*.jpg"))]
    views = compose_views(cutouts, backgrounds, views=settings.views, side=settings.image_size, seed=seed)
    model = clip.model.to(device)
    features, owners = _image_features(clip, views, len(cutouts) * settings.views, settings.batch_size, device)
    captions = [cutout.caption for cutout in cutouts]
    prompts = [templates[position % len(templates)].format(cutout.name) for position, cutout in enumerate(cutouts)]
    text_features = _text_features(clip, captions + prompts, device)  # [2 * cut-outs, width of the tower]
    text_ids = torch.tensor([captions.index(text) for text in captions] + _class_ids(cutouts))
    heads = nn.ModuleDict({"image": model.visual.head, "text": model.text.proj})
    parameters = [*heads.parameters(), model.logit_scale]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs)
    for epoch in tqdm(range(settings.epochs), desc="projections", unit="epoch"):
        losses = []
        for batch in torch.randperm(len(features)).split(settings.batch_size):
            texts = owners[batch] + len(cutouts) * torch.randint(2, (len(batch),))
            image = F.normalize(heads["image"](features[batch].to(device)), dim=-1)
            text = F.normalize(heads["text"](text_features[texts].to(device)), dim=-1)
            loss = positives_loss(model.logit_scale.exp() * image @ text.T, text_ids[texts].to(device))
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


def positives_loss(logits: Tensor, texts: Tensor) -> Tensor:
    """Symmetric cross-entropy of similarities [B, B] where every pair of equal `texts` [B] is a positive.

    Source: InfoNCE as in CLIP (Radford et al., ICML 2021), with the targets spread over all positives of a row.
    """
    positive = (texts[:, None] == texts[None]).float()
    target = positive / positive.sum(dim=1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def _class_ids(cutouts: Sequence[Cutout]) -> list[int]:
    """Text numbers of class prompts, behind those of captions: equal for cut-outs of one class."""
    names = [cutout.name for cutout in cutouts]
    return [len(cutouts) + names.index(name) for name in names]


@torch.inference_mode()
def _image_features(
    clip: Clip, views: Iterator[tuple[int, Image.Image]], total: int, batch_size: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Outputs of the image tower before its projection, [views, width], and the cut-out of each view, [views]."""
    features, owners, batch = [], [], []
    trunk = clip.model.visual.trunk.to(memory_format=torch.channels_last)
    for number, (owner, image) in enumerate(tqdm(views, total=total, desc="tower features", unit="view"), start=1):
        owners.append(owner)
        batch.append(clip.preprocess(image))
        if len(batch) == batch_size or number == total:
            with autocast(device):
                features.append(trunk(torch.stack(batch).to(device)).float().cpu())
            batch = []
    return torch.cat(features).clone(), torch.tensor(owners)


@torch.inference_mode()
def _text_features(clip: Clip, texts: list[str], device: torch.device) -> Tensor:
    """Outputs of the text tower before its projection, [texts, width]."""
    text = clip.model.text
    tokens = clip.tokenize(texts).to(device)
    mask = (tokens != text.config.pad_token_id).long()
    return text.pooler(text.transformer(input_ids=tokens, attention_mask=mask), mask).cpu().clone()
