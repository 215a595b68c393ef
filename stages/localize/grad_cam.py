"""Grad-CAM of the probability that CLIP gives a tag among the image's tags and texts of what else photos show.

Source: Lin et al., CLIP is Also an Efficient Segmenter, CVPR 2023, section 3.2; Selvaraju et al., Grad-CAM, ICCV 2017.
B images, C classes, G background texts, N patches, D width of the tower, E width of the joint space.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def tag_odds(embedded: Tensor, text: Tensor, backgrounds: Tensor, tags: Tensor, *, temperature: float) -> Tensor:
    """log(s / (1 - s)) of each class's probability s: the softmax, over an image's tags and all background texts, of
    its cosines with them divided by `temperature`.

    Its gradient is that of s divided by s (1 - s), the same for all patches, so that a map scaled to [0, 1] is the
    same; s itself is rounded to 1 where CLIP is sure, and has no gradient left.

    embedded: image embeddings [B, E], of any length.  text [C, E] and backgrounds [G, E]: of length 1.  tags: [B, C]
    bool.

    Returns [B, C]; of classes that are no tags, the odds that they would have beside the tags.
    """
    logits = F.normalize(embedded, dim=1) @ torch.cat((text, backgrounds)).T / temperature  # [B, C + G]
    absent = F.pad(~tags, (0, len(backgrounds)))
    itself = torch.eye(len(text), logits.shape[1], dtype=torch.bool, device=logits.device)
    others = logits[:, None].masked_fill(absent[:, None] | itself, -torch.inf)  # [B, C, C + G]
    return logits[:, : len(text)] - others.logsumexp(dim=2)


def grad_cam(features: Tensor, tags: Tensor, scores: Callable[[Tensor], Tensor], *, prefix: int) -> Tensor:
    """Class maps ReLU(A w), where A are the features of the patches and w the mean over them of the gradient of the
    class's score.

    features: [B, prefix + N, D], detached.  tags: the classes that get a map, [B, C] bool.  scores: from features to
    [B, C]; what it gives one image depends on this image alone.  prefix: tokens before the patches.

    Returns [B, C, N] >= 0, 0 for the other classes.
    """
    patches = features[:, prefix:]
    maps = patches.new_zeros(*tags.shape, patches.shape[1])
    # One pass back for the first tag of every image, one for the second, and so on.
    order = tags.cumsum(dim=1) * tags
    with torch.enable_grad():
        leaf = features.clone().requires_grad_()
        found = scores(leaf)
        for number in range(1, int(order.max()) + 1):
            turn = order == number
            (gradient,) = torch.autograd.grad(found[turn].sum(), leaf, retain_graph=True)
            weights = gradient[:, prefix:].mean(dim=1)
            own = torch.relu(torch.einsum("bnd,bd->bn", patches, weights))
            maps = torch.where(turn[..., None], own[:, None], maps)
    return maps
