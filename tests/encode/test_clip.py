"""Embeddings: prompt ensembles, the towers' projections, and a published architecture with random weights."""

import argparse
import csv
from pathlib import Path

import numpy as np
import open_clip
import pytest
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

from stages import devices
from stages.encode.clip import PROJECTIONS, Clip, build_towers, load_clip, text_embeddings
from stages.encode.cutout_views import compose_views, cutout_pairs, read_cutouts
from stages.encode.embeddings import caption_embeddings, image_embeddings
from stages.encode.pairs import Texts
from stages.encode.projections import positives_loss, train_projections
from stages.errors import DataError, SettingsError
from stages.index import Record
from stages.settings import EncodeSettings, PretrainedClip, TowerClip

CPU = torch.device("cpu")
TOWERS = TowerClip(kind="towers", image_size=64, width=32, views=3, epochs=4, batch_size=8)


@pytest.fixture(scope="module")
def image_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "lite0.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict(), path)
    return path


@pytest.fixture
def cutout_root(tmp_path: Path) -> Path:
    """Four plain-coloured cut-outs of two classes and one background."""
    (tmp_path / "Cutouts" / "train").mkdir(parents=True)
    (tmp_path / "Backgrounds" / "train").mkdir(parents=True)
    Image.new("RGB", (90, 70), (90, 120, 90)).save(tmp_path / "Backgrounds" / "train" / "meadow.jpg")
    rows = [("image", "class", "caption")]
    for number, (name, colour) in enumerate([("rose", "red"), ("rose", "pink"), ("coin", "gold"), ("coin", "silver")]):
        image = f"Cutouts/train/{number}.png"
        Image.new("RGBA", (40, 30), colour).save(tmp_path / image)
        rows.append((image, name, f"A {colour} {name}."))
    with (tmp_path / "Cutouts" / "train.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return tmp_path


class CountingClip(torch.nn.Module):
    """Embeds a text as [length, 1] and an image as its mean colour: embeddings one can work out by hand."""

    def encode_text(self, tokens: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        return F.normalize(tokens.float(), dim=-1) if normalize else tokens.float()


def test_prompt_ensemble_by_hand() -> None:
    clip = Clip(CountingClip(), lambda image: torch.zeros(3), lambda texts: torch.tensor([[len(t), 1] for t in texts]))
    embedded = text_embeddings(clip, ["ox", "cat"], templates=["{}", "a {}"], synonyms={"cat": ("puss",)})
    short, long = np.array([2, 1]) / np.hypot(2, 1), np.array([4, 1]) / np.hypot(4, 1)
    expected = (short + long) / np.linalg.norm(short + long)
    np.testing.assert_allclose(embedded[0], expected, rtol=1e-6)
    # A class with synonyms is embedded by them alone: "puss" and "a puss", 4 and 6 letters.
    four, six = np.array([4, 1]) / np.hypot(4, 1), np.array([6, 1]) / np.hypot(6, 1)
    np.testing.assert_allclose(embedded[1], (four + six) / np.linalg.norm(four + six), rtol=1e-6)


def test_positives_loss_by_hand() -> None:
    # All texts equal: every pair is a positive, targets are uniform, so equal logits give log 2.
    assert positives_loss(torch.zeros(2, 2), torch.ones(2, 2, dtype=torch.bool)).item() == pytest.approx(np.log(2))
    # Distinct texts: plain InfoNCE; logits 2 on the diagonal give log(1 + exp(-2)).
    loss = positives_loss(2 * torch.eye(2), torch.eye(2, dtype=torch.bool)).item()
    assert loss == pytest.approx(np.log1p(np.exp(-2.0)))
    # Both texts are true of the first image, only the second of the second. Row 1 has the softmax 1/4, 3/4 and targets
    # of a half, row 2 the softmax 1/2, 1/2 and the target 0, 1; the columns are the same the other way round.
    logits, positive = torch.tensor([[0, np.log(3)], [0, 0]]), torch.tensor([[True, True], [False, True]])
    first = -(np.log(1 / 4) + np.log(3 / 4)) / 2
    assert positives_loss(logits, positive).item() == pytest.approx((first + np.log(2)) / 2)


def test_views_are_of_the_wanted_size_and_show_the_cutout(cutout_root: Path) -> None:
    cutouts = read_cutouts(cutout_root)
    background = Image.new("RGB", (100, 80), (0, 0, 255))
    views = list(compose_views(cutouts[:1], [background], views=5, side=64, seed=0))
    assert len(views) == 5
    for view in views:
        pixels = np.asarray(view).reshape(-1, 3)
        assert view.size == (64, 64)
        assert ((pixels[:, 0] > 200) & (pixels[:, 2] < 50)).sum() > 64  # the red rose is there


def test_projections_end_at_the_first_loss_that_is_not_finite(cutout_root: Path, image_weights: Path) -> None:
    texts = Texts()
    pairs = cutout_pairs(cutout_root, texts, templates=("a photo of a {}.",), views=3, side=64, seed=0)
    wild = TOWERS.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(DataError, match=r"encode.clip: the training ends at step [23], where a loss .*loss nan"):
        train_projections(build_towers(TOWERS, image_weights), [pairs], texts, settings=wild, device=CPU)


def test_braces_in_names_stay_as_they_are() -> None:
    seen: list[str] = []
    clip = Clip(
        CountingClip(), lambda image: torch.zeros(3), lambda texts: seen.extend(texts) or torch.ones(len(texts), 2)
    )
    text_embeddings(clip, ["a {b}", "{0}"], templates=["one {}."], synonyms={"{0}": ("{", "}{")})
    assert seen == ["one a {b}.", "one {.", "one }{."]


def test_training_projections_lowers_the_loss_and_leaves_the_towers(cutout_root: Path, image_weights: Path) -> None:
    clip = build_towers(TOWERS, image_weights)
    before = {name: value.clone() for name, value in clip.model.state_dict().items()}
    texts = Texts()
    pairs = cutout_pairs(cutout_root, texts, templates=("a photo of a {}.",), views=3, side=64, seed=0)
    state = train_projections(clip, [pairs], texts, settings=TOWERS, device=CPU)
    assert set(state) == {"visual.head.proj.weight", "text.proj.weight", "logit_scale"}
    for name, value in clip.model.state_dict().items():
        if name in state:
            assert not torch.equal(value, before[name]), name
        elif value.is_floating_point():
            torch.testing.assert_close(value, before[name], msg=name)


@pytest.mark.parametrize("fast", [False, True])
def test_embeddings_have_unit_length_one_a_record(
    cutout_root: Path, image_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    """Also where the towers compute in bfloat16, which has three digits."""
    monkeypatch.setattr(devices, "bfloat16_is_fast", lambda device: fast)
    clip = build_towers(TOWERS, image_weights)
    trained = {name: value for name, value in clip.model.state_dict().items() if name.startswith(PROJECTIONS)}
    save_file(trained, tmp_path / "clip.safetensors")
    settings = EncodeSettings(weights={}, clip=TOWERS)
    clip = load_clip(settings, projections=tmp_path / "clip.safetensors", weights=image_weights)
    records = [Record(f"{n}", f"Cutouts/train/{n}.png", "", ("rose",), "train", f"Rose {n}.") for n in range(3)]
    images = image_embeddings(clip, records, cutout_root, batch_size=2, device=CPU)
    captions = caption_embeddings(clip, records, batch_size=2, device=CPU)
    for embeddings in (images, captions):
        assert list(embeddings) == ["0", "1", "2"]
        for value in embeddings.values():
            assert value.shape == (32,)
            assert value.norm().item() == pytest.approx(1, abs=1e-5)


def test_a_record_without_caption_is_named(cutout_root: Path) -> None:
    clip = Clip(CountingClip(), lambda image: torch.zeros(3), lambda texts: torch.zeros(len(texts), 2))
    with pytest.raises(DataError, match="first 'photo3'"):
        caption_embeddings(clip, [Record("photo3", "a.jpg", "", ("rose",), "train")], batch_size=2, device=CPU)


def test_sentences_of_tags_stand_in_for_captions(image_weights: Path) -> None:
    clip = build_towers(TOWERS, image_weights)
    untitled = [Record("0", "a.jpg", "", ("rose", "dog"), "train"), Record("1", "b.jpg", "", ("dog",), "train", "Odd.")]
    said = ["a photo of a rose and a dog.", "a photo of a dog."]
    titled = [Record(str(n), "a.jpg", "", (), "train", caption) for n, caption in enumerate(said)]
    ours = caption_embeddings(clip, untitled, source="tags", batch_size=2, device=CPU)
    expected = caption_embeddings(clip, titled, batch_size=2, device=CPU)
    for name in ("0", "1"):
        torch.testing.assert_close(ours[name], expected[name])


def test_a_published_architecture_loads_from_a_file(tmp_path: Path) -> None:
    """The path of the paper's CLIP with random weights: no model hub is asked when the config names a file."""
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32", pretrained=None)
    path = tmp_path / "clip.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)
    settings = EncodeSettings(weights={}, clip={"kind": "pretrained", "model": "ViT-B-32", "pretrained": str(path)})
    clip = load_clip(settings)
    embedded = text_embeddings(clip, ["dog", "cat"], templates=["a photo of a {}."], synonyms={})
    direct = model.eval().encode_text(clip.tokenize(["a photo of a dog."]), normalize=True)
    torch.testing.assert_close(embedded[:1], direct, atol=1e-5, rtol=1e-4)


CLIP_MODEL = "ViT-S-32-alt"


def pretrained(path: Path) -> EncodeSettings:
    return EncodeSettings(weights={}, clip={"kind": "pretrained", "model": CLIP_MODEL, "pretrained": str(path)})


def test_a_clip_as_its_training_wrote_it_is_read(tmp_path: Path) -> None:
    model = open_clip.create_model(CLIP_MODEL, pretrained=None)
    state = {f"module.{name}": value for name, value in model.state_dict().items()}
    torch.save({"model": state, "args": argparse.Namespace(lr=1), "epoch": 3}, tmp_path / "epoch_3.pt")
    loaded = load_clip(pretrained(tmp_path / "epoch_3.pt")).model.state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in model.state_dict().items())


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_file_that_is_no_clip_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "lfs.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d\n")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(tmp_path / "jit.pt"))
    torch.save({"head.weight": torch.zeros(2)}, tmp_path / "other.pth")
    torch.save({"logit_scale": torch.zeros(()), "visual.proj": torch.zeros(2)}, tmp_path / "part.pth")
    refused = {
        "lfs.safetensors": "is a Git LFS pointer",
        "jit.pt": r"is a TorchScript archive, .*; of OpenAI's CLIP take open_clip_model\.safetensors",
        "other.pth": r"holds no CLIP \(no or several logit_scale; it has 'head\.weight'\)",
        "part.pth": f"does not fit {CLIP_MODEL}",
        ".": "is a folder",
    }
    for name, message in refused.items():
        with pytest.raises(SettingsError, match=rf"encode\.clip\.pretrained: .*{message}") as raised:
            load_clip(pretrained(tmp_path / name))
        assert "\n" not in str(raised.value)


def test_unknown_clip_and_missing_projections_are_named() -> None:
    with pytest.raises(SettingsError, match="open_clip has no 'ViT-X'"):
        load_clip(EncodeSettings(weights={}, clip={"kind": "pretrained", "model": "ViT-X"}))
    with pytest.raises(SettingsError, match="'nowhere' is neither a file nor a tag of ViT-B-32; tags are openai"):
        load_clip(EncodeSettings(weights={}, clip={"kind": "pretrained", "model": "ViT-B-32", "pretrained": "nowhere"}))
    with pytest.raises(SettingsError, match="towers"):
        load_clip(EncodeSettings(weights={}, clip=TOWERS))


def test_cutouts_of_another_dataset_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such list"):
        read_cutouts(tmp_path)


def test_projections_that_do_not_fit_are_refused(image_weights: Path, tmp_path: Path) -> None:
    path, settings = tmp_path / "clip.safetensors", EncodeSettings(weights={}, clip=TOWERS)
    # The image projection is missing: without the check it would silently stay random.
    save_file({"text.proj.weight": torch.zeros(32, 384), "logit_scale": torch.zeros(())}, path)
    with pytest.raises(DataError, match="not the projections of these towers"):
        load_clip(settings, projections=path, weights=image_weights)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(DataError, match="cannot be read as tensors"):
        load_clip(settings, projections=path, weights=image_weights)


@pytest.mark.parametrize(("tag", "activation"), [("openai", "QuickGELU"), ("laion2b_s34b_b79k", "GELU")])
def test_a_tag_has_the_activation_that_its_weights_were_trained_with(monkeypatch, tag: str, activation: str) -> None:
    """The download alone is left out: the model is built as for the tag, with random weights."""
    build = open_clip.create_model_and_transforms
    monkeypatch.setattr(
        open_clip, "create_model_and_transforms", lambda name, **options: build(name, **options | {"pretrained": None})
    )
    clip = load_clip(EncodeSettings(clip=PretrainedClip(model="ViT-B-32", pretrained=tag)))
    for tower in (clip.model.visual.transformer, clip.model.transformer):
        assert type(tower.resblocks[0].mlp.gelu).__name__ == activation


def test_a_packaged_vit_gets_its_weights_at_the_size_of_the_settings(tmp_path: Path) -> None:
    """Its own size is 160 px: at 64 its positions are interpolated, as timm's model for any size does."""
    torch.manual_seed(0)
    trunk = timm.create_model("test_vit", pretrained=False, dynamic_img_size=True, num_classes=0).eval()
    save_file(trunk.state_dict(), tmp_path / "vit.safetensors")
    settings = TowerClip(kind="towers", image_tower="test_vit", image_size=64, width=32)
    clip = build_towers(settings, tmp_path / "vit.safetensors")
    images = torch.randn(2, 3, 64, 64)
    mean = trunk.forward_features(images)[:, 1:].mean(dim=1)
    torch.testing.assert_close(clip.model.encode_image(images), clip.model.visual.head(mean))
    odd = settings.model_copy(update={"image_size": 70})
    with pytest.raises(
        SettingsError,
        match=r"encode.clip.image_size: 70 is no multiple of the 16 pixels of a patch of test_vit; set 80",
    ):
        build_towers(odd, tmp_path / "vit.safetensors")
