"""What the projections of packaged towers learn from: views of images, each with two texts that describe it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from PIL import Image
from torch import Tensor


@dataclass
class Texts:
    """Texts of all sources in one list. Texts with the same meaning have the same id: those of a class, or equal
    captions.

    texts: in the order in which they were added.  ids: the id of each.
    """

    texts: list[str] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    _known: dict[tuple[str, str], int] = field(default_factory=dict)

    def add_prompt(self, text: str, name: str) -> int:
        """Adds a prompt of the class `name`; returns its position."""
        return self._add(text, ("class", name))

    def add_caption(self, text: str) -> int:
        """Adds a caption; returns its position."""
        return self._add(text, ("caption", text))

    def id_of_class(self, name: str) -> int:
        """The id of all prompts of a class, whether any was added or not."""
        return self._known.setdefault(("class", name), len(self._known))

    def _add(self, text: str, meaning: tuple[str, str]) -> int:
        self.texts.append(text)
        self.ids.append(self._known.setdefault(meaning, len(self._known)))
        return len(self.texts) - 1


@dataclass(frozen=True)
class Pairs:
    """Views of one source with their texts.

    views: RGB images, each made on demand.  texts: two positions in Texts per view; training draws one.
    tags: classes whose prompts are true of a view, whichever text is drawn for it; empty for cut-outs.
    """

    views: Iterator[Image.Image]
    texts: Sequence[tuple[int, int]]
    tags: Sequence[tuple[str, ...]]


def known_ids(pairs: Sequence[Pairs], texts: Texts) -> Tensor:
    """Which class ids are tags of each view, [views, K] bool. The last column represents all ids that are no tag's, and
    is False."""
    tags = [own for source in pairs for own in source.tags]
    ids = {name: texts.id_of_class(name) for own in tags for name in own}
    known = torch.zeros(len(tags), max(ids.values(), default=-1) + 2, dtype=torch.bool)
    for view, own in enumerate(tags):
        known[view, [ids[name] for name in own]] = True
    return known


def positives(ids: Tensor, known: Tensor) -> Tensor:
    """Which text is true of which view, [B, B] bool, rows are views: texts with the view's own text id, and its tags'
    prompts.

    ids [B]: of the drawn texts.  known [B, K]: as from `known_ids`, rows of the batch.
    """
    return (ids[:, None] == ids[None]) | known[:, ids.clamp(max=known.shape[1] - 1)]
