"""Frozen embeddings of a split's images, or of their captions."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize
from tqdm import tqdm

from stages.devices import autocast
from stages.encode.clip import Clip
from stages.errors import DataError
from stages.images import read_image
from stages.index import Record


@torch.inference_mode()
def image_embeddings(
    clip: Clip, records: Sequence[Record], root: Path, *, batch_size: int, device: torch.device
) -> dict[str, Tensor]:
    """The L2-normalised embedding of each image, by image id, [E] float32."""
    model = clip.model.to(device)
    embeddings: dict[str, Tensor] = {}
    with tqdm(total=len(records), desc="image embeddings", unit="image") as progress:
        for start in range(0, len(records), batch_size):
            batch = records[start : start + batch_size]
            images = torch.stack([clip.preprocess(read_image(root / record.image)) for record in batch])
            with autocast(device):
                embedded = normalize(model.encode_image(images.to(device)).float(), dim=-1).cpu()
            embeddings |= {record.id: row.clone() for record, row in zip(batch, embedded, strict=True)}
            progress.update(len(batch))
    return embeddings


def caption_of_tags(labels: Sequence[str]) -> str:
    """A sentence that only names the tags: "a photo of a cow and a dog."."""
    return f"a photo of {' and '.join(f'a {label}' for label in labels)}."


@torch.inference_mode()
def caption_embeddings(
    clip: Clip, records: Sequence[Record], *, source: str = "dataset", batch_size: int, device: torch.device
) -> dict[str, Tensor]:
    """The L2-normalised embedding of each image's caption, by image id, [E] float32.

    source: the `dataset`'s captions, or sentences built from the images' `tags`.

    Raises DataError if an image has no caption.
    """
    if source == "tags":
        records = [replace(record, caption=caption_of_tags(record.labels)) for record in records]
    without = [record.id for record in records if not record.caption]
    if without:
        raise DataError(
            f"{len(without)} images have no caption, first {without[0]!r}; fill in the dataset's column `caption`,"
            " name a file of captions in data.captions, set encode.captions to `tags`, or choose another"
            " localize.method.language_context"
        )
    model = clip.model.to(device)
    embeddings: dict[str, Tensor] = {}
    for start in tqdm(range(0, len(records), batch_size), desc="caption embeddings", unit="batch"):
        batch = records[start : start + batch_size]
        tokens = clip.tokenize([record.caption for record in batch]).to(device)
        embedded = normalize(model.encode_text(tokens).float(), dim=-1).cpu()
        embeddings |= {record.id: row.clone() for record, row in zip(batch, embedded, strict=True)}
    return embeddings
