"""The equations of the localization transformer, one pure function each (DESIGN: "The localization transformer").

Source: Xu et al., Learning Multi-modal Class-specific Tokens for Weakly Supervised Dense Object Localization,
CVPR 2023 (MMCST); global weighted ranking pooling: Kolesnikov and Lampert, ECCV 2016.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def local_tokens(tokens: Tensor, patches: Tensor) -> Tensor:
    """The sample's visual context of each class token: softmax(tokens patchesᵀ / sqrt(D)) patches.

    Args:
        tokens: class tokens, [B, C, D].
        patches: patch tokens, [B, N, D].

    Returns:
        [B, C, D].
    """
    attention = torch.softmax(tokens @ patches.mT / patches.shape[-1] ** 0.5, dim=-1)
    return attention @ patches


def combine(tokens: Tensor, patches: Tensor, *, representation: str, weight: float) -> Tensor:
    """Class tokens with their visual context: `global` T, `local` TL, or `global_local` T + weight * TL; [B, C, D]."""
    if representation == "global":
        return tokens
    local = local_tokens(tokens, patches)
    return local if representation == "local" else tokens + weight * local


def correlate(tokens: Tensor, patches: Tensor, *, correlation: str) -> Tensor:
    """Maps of class tokens over patches, [B, C, N]: the plain product (`dot`, the paper's) or the `cosine`."""
    if correlation == "cosine":
        tokens, patches = F.normalize(tokens, dim=-1), F.normalize(patches, dim=-1)
    return tokens @ patches.mT


def global_weighted_ranking_pooling(maps: Tensor, decay: float) -> Tensor:
    """Image scores from maps: the mean of a map's values sorted downwards, the j-th weighted by decay^(j-1).

    Args:
        maps: [..., N].
        decay: d in (0, 1]; 1 is average pooling, towards 0 it becomes max pooling.

    Returns:
        [...].
    """
    ranked = maps.sort(dim=-1, descending=True).values
    weights = decay ** torch.arange(maps.shape[-1], dtype=torch.float32, device=maps.device)
    return (ranked * weights).sum(dim=-1) / weights.sum()


def mean_of_own_classes(tokens: Tensor, labels: Tensor) -> Tensor:
    """Mean of the class tokens of each image's own tags: tokens [B, C, D], labels [B, C] in {0, 1} -> [B, D]."""
    weights = labels / labels.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.einsum("bc,bcd->bd", weights, tokens)


def contrastive_loss(predicted: Tensor, embeddings: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of image-language similarities, norm(z) norm(e)ᵀ / temperature, against the identity.

    Args:
        predicted: z, [B, E].
        embeddings: e, frozen, [B, E].
        temperature: tau.

    Returns:
        The mean over the batch, a scalar.
    """
    similarity = F.normalize(predicted, dim=-1) @ F.normalize(embeddings, dim=-1).mT / temperature
    return F.cross_entropy(similarity, torch.arange(len(similarity), device=similarity.device))


def class_token_contrast(tokens: Tensor, labels: Tensor) -> Tensor:
    """Keeps an image's own class tokens apart from all others: cross-entropy of cosines against the identity.

    Source: Xu et al., MCTformer+, the contrastive-class-token loss; the mean over the image's own classes is its public
    code's. An image without tags counts as 0.

    Args:
        tokens: class tokens after each block, [blocks, B, C, D].
        labels: tags, [B, C] in {0, 1}.

    Returns:
        The mean over each image's own classes, then over blocks and images, a scalar.
    """
    directions = F.normalize(tokens, dim=-1)
    surprise = -torch.log_softmax(directions @ directions.mT, dim=-1).diagonal(dim1=-2, dim2=-1)  # [blocks, B, C]
    own = labels / labels.sum(dim=1, keepdim=True).clamp(min=1)
    return (surprise * own).sum(dim=-1).mean()
