"""Random walks between maps and CRF, along the affinities of a trained network, the localizer's attention or a frozen
network's features."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from stages.devices import autocast
from stages.errors import SettingsError
from stages.images import read_image
from stages.labelling import enlarge_maps
from stages.localize.attention import Attention
from stages.localize.batches import resize_to_grid, shorter_side
from stages.localize.checkpoint import load_localizer
from stages.localize.mmcst import Mmcst
from stages.networks.frozen_patches import FrozenPatches
from stages.refine.affinity_net import AffinityNet, load_affinity
from stages.refine.affinity_pairs import pair_affinities
from stages.refine.background import Background
from stages.refine.pseudo_masks import ImageScores
from stages.refine.random_walk import random_walk, reversible_walk
from stages.refine.scoring import Walker
from stages.refine.transitions import dense_transitions, feature_transitions, transition_matrix
from stages.settings import AttentionAffinity, FeaturesAffinity, LearnedAffinity, LocalizeSettings, RefineSettings
from stages.shards import ImageMaps
from stages.tensors import read_tensors

Scores = NDArray[np.float32]


class LearnedWalker:
    """Walks along the affinities of a trained network, at its stride (PSA)."""

    def __init__(self, net: AffinityNet, settings: RefineSettings, device: torch.device) -> None:
        self.net, self.settings, self.device = net.to(device), settings, device

    def __call__(self, path: Path, image: ImageMaps, backgrounds: Sequence[Background]) -> ImageScores:
        stride = self.net.stride
        rows, columns = (-(-side // stride) * stride for side in image.label_size)
        extent = (rows, columns)
        grid = (rows // stride, columns // stride)
        transitions = self._transitions(pad_to(pixels_of(path, image.label_size), extent), grid)
        maps = pad_to(torch.from_numpy(enlarge_maps(image.maps, image.label_size)), extent)
        walked = []
        for background in backgrounds:
            scores = torch.from_numpy(background(maps.numpy())).to(self.device)
            nodes = F.avg_pool2d(scores, stride).flatten(1)
            walked.append(as_maps(reversible_walk(nodes, transitions, doublings=self.settings.walk.doublings), grid))
        return scores_of(image, walked, extent)

    def _transitions(self, pixels: Tensor, grid: tuple[int, int]) -> Tensor:
        images = transforms.normalize(pixels[None].to(self.device), *map(list, self.net.statistics))
        with torch.inference_mode(), autocast(self.device):
            features = self.net(images)
        if tuple(features.shape[-2:]) != grid:
            raise SettingsError(
                f"refine.affinity.backbone: {self.net.settings.backbone} gives {tuple(features.shape[-2:])} nodes where"
                f" its stride says {grid}; choose another CNN"
            )
        radius = self.net.settings.radius
        affinities = pair_affinities(features.float(), radius)[0]
        return transition_matrix(affinities, grid, radius, beta=self.settings.walk.beta)


class AttentionWalker:
    """Walks along the patch-to-patch attention of the localizer's last blocks, on the patch grid of the image at
    `localize.maps.size`."""

    def __init__(self, localizer: Mmcst, settings: RefineSettings, device: torch.device) -> None:
        self.localizer, self.settings, self.device = localizer.to(device).eval(), settings, device
        affinity = settings.affinity
        self.blocks = affinity.blocks if isinstance(affinity, AttentionAffinity) else 1

    def __call__(self, path: Path, image: ImageMaps, backgrounds: Sequence[Background]) -> ImageScores:
        photo = read_image(path)
        shorter = shorter_side((photo.height, photo.width), self.localizer.settings.maps)
        resized = resize_to_grid(photo, shorter, self.localizer.stride)
        pixels = transforms.to_dtype(transforms.pil_to_tensor(resized), torch.float32, scale=True)
        images = transforms.normalize(pixels[None].to(self.device), *map(list, self.localizer.statistics))
        with torch.inference_mode(), autocast(self.device):
            output = self.localizer(images, attention=Attention(patches=self.blocks))
        grid, attention = output.grid, output.patch_attention[0].float()
        transitions = dense_transitions(attention, beta=self.settings.walk.beta)
        return walked_on(grid, transitions, image, backgrounds, walk=random_walk, settings=self.settings)


class FeaturesWalker:
    """Walks along the similarity of a frozen network's patch features, on the patch grid of the image at
    `refine.affinity.size`."""

    def __init__(
        self, network: FrozenPatches, settings: RefineSettings, affinity: FeaturesAffinity, device: torch.device
    ) -> None:
        self.network, self.settings, self.affinity, self.device = network.to(device), settings, affinity, device

    def __call__(self, path: Path, image: ImageMaps, backgrounds: Sequence[Background]) -> ImageScores:
        resized = resize_to_grid(read_image(path), self.affinity.size, self.network.stride)
        pixels = transforms.to_dtype(transforms.pil_to_tensor(resized), torch.float32, scale=True)
        with torch.inference_mode(), autocast(self.device):
            features = self.network(pixels[None].to(self.device))[0]
        transitions = feature_transitions(
            features, threshold=self.affinity.threshold, radius=self.affinity.radius, beta=self.settings.walk.beta
        )
        grid = (features.shape[1], features.shape[2])
        return walked_on(grid, transitions, image, backgrounds, walk=reversible_walk, settings=self.settings)


def build_walker(
    settings: RefineSettings, affinity: Path | None, device: torch.device, localize: LocalizeSettings | None = None
) -> Walker:
    """The walker chosen in the settings.

    affinity: the trained network, the localizer whose attention is used, or the weights of a frozen network.
    localize: the config's settings of that localizer, whose `maps.size` is the size at which its attention is computed.

    Raises SettingsError when one of them is not given, or when the localizer has no patch attention.
    """
    kind = settings.affinity
    if affinity is None:
        raise SettingsError(
            f"refine.affinity.kind: {kind.kind!r} needs --affinity, a trained network, a localizer or weights"
        )
    if isinstance(kind, LearnedAffinity):
        return LearnedWalker(load_affinity(affinity), settings, device)
    if isinstance(kind, FeaturesAffinity):
        network = FrozenPatches(kind, read_tensors(affinity, stage="encode"), place="refine.affinity")
        return FeaturesWalker(network, settings, kind, device)
    if localize is None:
        raise SettingsError(
            f"refine.affinity.kind: {kind.kind!r} needs --localize, the section `localize` that the maps were made with"
        )
    localizer, _ = load_localizer(affinity, localize)
    if not isinstance(localizer, Mmcst):
        raise SettingsError(
            "refine.affinity.kind: `attention` needs localize.method.kind `mmcst`; set `learned`, `features` or `none`"
        )
    return AttentionWalker(localizer, settings, device)


def walked_on(
    grid: tuple[int, int],
    transitions: Tensor,
    image: ImageMaps,
    backgrounds: Sequence[Background],
    *,
    walk: Callable[..., Tensor],
    settings: RefineSettings,
) -> ImageScores:
    """The scores of an image with each background, averaged over the cells of a patch grid and walked along its
    transitions."""
    walked = []
    for background in backgrounds:
        scores = torch.from_numpy(background(image.maps)).to(transitions.device)
        nodes = F.interpolate(scores[None], size=grid, mode="area")[0].flatten(1)
        walked.append(as_maps(walk(nodes, transitions, doublings=settings.walk.doublings), grid))
    return scores_of(image, walked, image.label_size)


def scores_of(image: ImageMaps, walked: Sequence[Scores], extent: tuple[int, int]) -> ImageScores:
    """The walked scores of an image, to be labelled."""
    classes = tuple(image.classes.tolist())
    return ImageScores(image.id, tuple(walked), classes, image.size, extent, working=image.working)


def pixels_of(path: Path, size: tuple[int, int]) -> Tensor:
    """An image's pixels at `size`, [3, rows, columns] float32 in [0, 1]."""
    image: Image.Image = read_image(path, size)
    return transforms.to_dtype(transforms.pil_to_tensor(image), torch.float32, scale=True)


def pad_to(values: Tensor, extent: tuple[int, int]) -> Tensor:
    """[channels, rows, columns] with its last row and column repeated up to `extent`."""
    rows, columns = (whole - side for whole, side in zip(extent, values.shape[-2:], strict=True))
    return (
        F.pad(values[None], (0, columns, 0, rows), mode="replicate")[0] if len(values) else values.new_zeros(0, *extent)
    )


def as_maps(nodes: Tensor, grid: tuple[int, int]) -> Scores:
    """Scores of nodes [K, N] as [K, rows, columns] float32."""
    return rearrange(nodes, "k (rows columns) -> k rows columns", rows=grid[0]).cpu().numpy()
