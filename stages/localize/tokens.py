"""The equations of the localization transformer, one pure function each (DESIGN: "The localization transformer").

Source: Xu et al., Learning Multi-modal Class-specific Tokens for Weakly Supervised Dense Object Localization,
CVPR 2023 (MMCST); global weighted ranking pooling: Kolesnikov and Lampert, ECCV 2016.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

NOT_COUNTED = -100  # as a target of the cross-entropy


def attention_of_tokens(tokens: Tensor, patches: Tensor) -> Tensor:
    """softmax(tokens patchesᵀ / sqrt(D)), [B, C, N]: the attention as in the paper.

    Args:
        tokens: class tokens, [B, C, D].
        patches: patch tokens, [B, N, D].

    Both patches match a zero token equally:

    >>> attention_of_tokens(torch.tensor([[[0.0, 0.0]]]), torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])).tolist()
    [[[0.5, 0.5]]]
    """
    return torch.softmax(correlate(tokens, patches).float(), dim=-1)


def attention_of_maps(maps: Tensor, power: float) -> Tensor:
    """Each class's own map as a distribution over patches: scaled to [0, 1], to a power, divided by its sum, [B, C, N].

    A softmax of products is nearly uniform if the products are small, and on a single patch if they are large; this is
    neither, whatever their size. A flat map gives uniform attention.

    The values 0, 1, 2 become 0, 1/2, 1, their squares 0, 1/4, 1, and these shares of 5/4:

    >>> attention_of_maps(torch.tensor([[[0.0, 1.0, 2.0]]]), power=2.0)
    tensor([[[0.0000, 0.2000, 0.8000]]])
    """
    low, high = maps.amin(dim=-1, keepdim=True), maps.amax(dim=-1, keepdim=True)
    flat = high == low
    scaled = torch.where(flat, 1.0, (maps - low) / torch.where(flat, 1.0, high - low))
    weights = scaled**power
    return weights / weights.sum(dim=-1, keepdim=True)


def local_tokens(attention: Tensor, tokens: Tensor, patches: Tensor, *, centred: bool, matched: bool) -> Tensor:
    """The visual context of each class token: the patches that it attends to, [B, C, D].

    Args:
        attention: a distribution over patches, [B, C, N].
        tokens: class tokens, [B, C, D].
        patches: patch tokens, [B, N, D].
        centred: subtract the image's mean patch, which all classes would have in common, from each patch.
        matched: scale contexts to the length of their class tokens; otherwise they may be far longer or shorter.

    The mean patch is (2, 0), so the second, which gets all attention, is (1, 0) away from it; the token's length is 5:

    >>> tokens, patches = torch.tensor([[[3.0, 4.0]]]), torch.tensor([[[1.0, 0.0], [3.0, 0.0]]])
    >>> attention = torch.tensor([[[0.0, 1.0]]])
    >>> local_tokens(attention, tokens, patches, centred=True, matched=True)
    tensor([[[5., 0.]]])
    >>> local_tokens(attention, tokens, patches, centred=False, matched=False)
    tensor([[[3., 0.]]])
    """
    if centred:
        patches = patches - patches.mean(dim=1, keepdim=True)
    local = attention.to(patches.dtype) @ patches
    return F.normalize(local, dim=-1) * tokens.norm(dim=-1, keepdim=True) if matched else local


def entropy_share(attention: Tensor) -> Tensor:
    """Mean entropy of distributions [..., N] as a share of a uniform one's: 1 if all patches count equally. A scalar.

    A uniform distribution has 1, one on a single patch 0:

    >>> entropy_share(torch.tensor([[0.5, 0.5], [1.0, 0.0]]))
    tensor(0.5000)
    """
    return torch.special.entr(attention.float()).sum(dim=-1).mean() / math.log(attention.shape[-1])


def combine(tokens: Tensor, local: Tensor, *, representation: str, weight: float) -> Tensor:
    """Class tokens with their visual context: `local` TL, or `global_local` T + weight * TL; [B, C, D].

    >>> tokens, local = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[4.0, 0.0]]])
    >>> combine(tokens, local, representation="global_local", weight=0.5)
    tensor([[[3., 2.]]])
    """
    return local if representation == "local" else tokens + weight * local


def correlate(tokens: Tensor, patches: Tensor) -> Tensor:
    """Products of class tokens [B, C, D] and patches [B, N, D] over sqrt(D), [B, C, N].

    The products are 6 and 0, and D is 4:

    >>> patches = torch.tensor([[[3.0, 1.0, 1.0, 1.0], [0.0, 5.0, 5.0, 5.0]]])
    >>> correlate(torch.tensor([[[2.0, 0.0, 0.0, 0.0]]]), patches)
    tensor([[[3., 0.]]])
    """
    return tokens @ patches.mT / patches.shape[-1] ** 0.5


def global_weighted_ranking_pooling(maps: Tensor, decay: float) -> Tensor:
    """Image scores from maps: the mean of a map's values in descending order, the j-th weighted by decay^(j-1).

    Args:
        maps: [..., N].
        decay: d in (0, 1]; 1 is average pooling, and near 0 it becomes max pooling.

    Returns:
        [...].

    (4 + 2 / 2 + 1 / 4) / (1 + 1 / 2 + 1 / 4):

    >>> global_weighted_ranking_pooling(torch.tensor([1.0, 4.0, 2.0]), decay=0.5)
    tensor(3.)
    """
    ranked = maps.sort(dim=-1, descending=True).values
    weights = decay ** torch.arange(maps.shape[-1], dtype=torch.float32, device=maps.device)
    return (ranked * weights).sum(dim=-1) / weights.sum()


def mean_of_own_classes(tokens: Tensor, labels: Tensor) -> Tensor:
    """Mean of the class tokens of each image's own tags: tokens [B, C, D], labels [B, C] in {0, 1} -> [B, D].

    The first and the third of three classes are tagged:

    >>> tokens = torch.tensor([[[2.0, 0.0], [9.0, 9.0], [4.0, 2.0]]])
    >>> mean_of_own_classes(tokens, torch.tensor([[1.0, 0.0, 1.0]]))
    tensor([[3., 1.]])
    """
    weights = labels / labels.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.einsum("bc,bcd->bd", weights, tokens)


def contrastive_loss(
    predicted: Tensor, embeddings: Tensor, temperature: float, counted: Tensor | None = None
) -> Tensor:
    """Cross-entropy of image-language similarities, norm(z) norm(e)ᵀ / temperature, against the identity.

    Args:
        predicted: z, [B, E].
        embeddings: e, frozen, [B, E].
        temperature: tau.
        counted: images that have a class, [B] bool; the others are compared with none. All, if omitted.

    Returns:
        The mean over the counted images, a scalar; 0 if there are none.

    Orthogonal pairs, each of two equal vectors: log(e + 1) - 1.

    >>> contrastive_loss(torch.eye(2), torch.eye(2), temperature=1.0)
    tensor(0.3133)
    """
    similarity = F.normalize(predicted, dim=-1) @ F.normalize(embeddings, dim=-1).mT / temperature
    targets = torch.arange(len(similarity), device=similarity.device)
    if counted is None:
        return F.cross_entropy(similarity, targets)
    # Masked, not left out: sizes must not depend on values. By a finite number: rows of -inf have NaN gradients.
    similarity = similarity.masked_fill(~counted, torch.finfo(similarity.dtype).min)
    targets = targets.masked_fill(~counted, NOT_COUNTED)
    total = F.cross_entropy(similarity, targets, ignore_index=NOT_COUNTED, reduction="sum")
    return total / counted.sum().clamp(min=1)


def class_token_contrast(tokens: Tensor, labels: Tensor) -> Tensor:
    """Keeps an image's own class tokens apart from all others: cross-entropy of cosines against the identity.

    Source: Xu et al., MCTformer+, the contrastive-class-token loss; the mean over the image's own classes is from its
    public code. An image without tags has none to keep apart and does not count.

    Args:
        tokens: class tokens after each block, [blocks, B, C, D].
        labels: tags, [B, C] in {0, 1}.

    Returns:
        The mean over each image's own classes, then over blocks and images with tags, a scalar; 0 if there are none.

    Four equal tokens cannot be told apart: log 4.

    >>> class_token_contrast(torch.ones(1, 1, 4, 2), torch.ones(1, 4))
    tensor(1.3863)
    """
    directions = F.normalize(tokens, dim=-1)
    surprise = -torch.log_softmax(directions @ directions.mT, dim=-1).diagonal(dim1=-2, dim2=-1)  # [blocks, B, C]
    own = labels / labels.sum(dim=1, keepdim=True).clamp(min=1)
    of_images = (surprise * own).sum(dim=-1).mean(dim=0)  # [B], 0 without tags
    return of_images.sum() / labels.any(dim=1).sum().clamp(min=1)
