"""Images that show none of the classes: in the losses, and what learning from them does to the maps."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file

from stages.encode.weights import load_weights
from stages.errors import DataError
from stages.index import Record, write_classes, write_index
from stages.labelling import enlarge_maps
from stages.localize import freeze_features, make_maps, train
from stages.localize.objective import LocalizerObjective
from stages.localize.views import embeddings_of
from stages.settings import MapSettings
from stages.shards import read_shard

MIXED = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
METHODS = [
    ("hybrid", "mmcst", {}),
    ("hybrid", "mmcst", {"language_context": "caption_l1"}),
    ("hybrid", "mctformer", {"version": "v2"}),
    ("hybrid", "mctformer", {"version": "plus"}),
    ("hybrid", "ts_cam", {}),
    ("cnn", "cam", {}),
]


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(3, 3, 64, 96, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(
    ("method", "settings", "name"),
    [
        ("mmcst", {"language_context": "image_contrastive"}, "loss_language"),
        ("mmcst", {"language_context": "caption_l1"}, "loss_language"),
        ("mctformer", {"version": "plus"}, "loss_contrast"),
    ],
)
def test_losses_of_an_images_own_classes_are_those_of_the_tagged_images_alone(
    make_localizer, images: torch.Tensor, method: str, settings: dict, name: str
) -> None:
    localizer = make_localizer("hybrid", method, **settings)
    localizer.training = True  # MCTformer's blocks are kept in training alone; dropout stays off
    embedding = torch.randn(3, 16)
    mixed = LocalizerObjective(localizer)(images, MIXED, embedding)[name]
    alone = LocalizerObjective(localizer)(images[[0, 2]], MIXED[[0, 2]], embedding[[0, 2]])[name]
    assert alone > 0
    torch.testing.assert_close(mixed, alone)


@pytest.mark.parametrize(("kind", "method", "settings"), METHODS)
def test_a_batch_of_negatives_has_finite_losses_and_gradients(
    make_localizer, images: torch.Tensor, kind: str, method: str, settings: dict
) -> None:
    localizer = make_localizer(kind, method, **settings).train()
    losses = LocalizerObjective(localizer)(images, torch.zeros(3, 3), torch.randn(3, 16))
    sum(value for name, value in losses.items() if "loss" in name).backward()
    gradients = [own.grad for own in localizer.parameters() if own.grad is not None]
    assert gradients
    assert all(own.isfinite().all() for own in gradients)
    for name in {"loss_language", "loss_contrast"} & losses.keys():
        assert losses[name] == 0


@pytest.mark.parametrize(("kind", "method", "settings"), METHODS)
def test_one_class_is_learned_and_located(
    make_localizer, images: torch.Tensor, kind: str, method: str, settings: dict
) -> None:
    localizer = make_localizer(kind, method, classes=1, **settings)
    losses = LocalizerObjective(localizer)(images, MIXED[:, :1], torch.randn(3, 16))
    assert all(value.isfinite() for value in losses.values())
    located = localizer.locate(images, MapSettings())
    assert located.maps.shape[:2] == (3, 1)
    assert located.maps.isfinite().all()


def test_clip_finds_one_class_by_its_similarity(make_localizer, images: torch.Tensor) -> None:
    located = make_localizer("cnn", "clip", classes=1).locate(images, MapSettings())
    torch.testing.assert_close(located.maps, located.kinds["similarity"])
    assert located.scores.tolist() == [[0.0]] * 3


def test_a_negative_needs_no_embedding() -> None:
    records = [Record("a", "a.jpg", "", ("coin",), "train"), Record("b", "b.jpg", "", (), "train")]
    found = embeddings_of(records, {"a": torch.tensor([1.0, 2.0])})
    assert found.tolist() == [[1.0, 2.0], [0.0, 0.0]]


def test_what_is_trained_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    records = [
        Record("a", "a.jpg", "", ("coin",), "train"),
        Record("b", "b.jpg", "", (), "train"),
        Record("c", "c.jpg", "", (), "val"),
    ]
    write_index(tmp_path / "train+val.csv", records)
    assert train.training_records(tmp_path / "train+val.csv", ["train"]) == records[:2]
    assert "1 of 2 images has no tag ('b') and is learned as a negative" in caplog.text
    assert "1 of 3 images have no tags; trained without them" in caplog.text
    write_index(tmp_path / "train+val.csv", records[1:])
    with pytest.raises(DataError, match="none of 2 images has a tag"):
        train.training_records(tmp_path / "train+val.csv", ["train", "val"])


SIDE = 96
SIZE = 30  # of an object
SHAPES = ("disc", "square")


def draw(kind: str, number: int) -> tuple[Image.Image, np.ndarray]:
    """A red disc on stripes, a green square on plain ground, or stripes alone; and where the object is."""
    random = np.random.default_rng([len(kind), number])
    rows, columns = np.mgrid[:SIDE, :SIDE]
    stripes = 90 + 100 * ((rows + columns + random.integers(8)) // 6 % 2)
    ground = np.full((SIDE, SIDE), 140) if kind == "square" else stripes
    noisy = ground[..., None] + random.normal(0, 12, (SIDE, SIDE, 3))
    image = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    there = Image.new("L", image.size)
    left, top = random.integers(4, SIDE - SIZE - 4, 2).tolist()
    box = (left, top, left + SIZE, top + SIZE)
    if kind in SHAPES:
        colour = (200, 40, 40) if kind == "disc" else (40, 170, 60)
        for canvas, fill in ((image, colour), (there, 1)):
            pen = ImageDraw.Draw(canvas)
            (pen.ellipse if kind == "disc" else pen.rectangle)(box, fill=fill)
    return image, np.asarray(there, dtype=bool)


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve discs, twelve squares, and stripes alone: in the index `with`, not in `without`; `shown` has discs."""
    folder = tmp_path_factory.mktemp("stripes")
    records = []
    for kind in (*SHAPES, "stripes"):
        for number in range(12):
            draw(kind, number)[0].save(folder / f"{kind}{number}.png")
            labels = (kind,) if kind in SHAPES else ()
            records.append(Record(f"{kind}{number}", f"{kind}{number}.png", "", labels, "train"))
    write_index(folder / "with.csv", records)
    write_index(folder / "without.csv", [record for record in records if record.labels])
    write_index(folder / "shown.csv", records[:6])
    write_classes(folder / "classes.txt", SHAPES)
    torch.manual_seed(0)
    save_file({"text": torch.randn(2, 16)}, folder / "text.safetensors")
    save_file({record.id: torch.randn(16) for record in records if record.labels}, folder / "images.safetensors")
    save_file(dict(load_weights("tf_efficientnet_lite0", "package")), folder / "weights.safetensors")
    return folder


def map_of_discs(stripes: Path, index: str, seed: int = 0) -> tuple[float, float]:
    """Mean of the discs' maps on their ground and on the disc, learned from the images of an index."""
    settings = {
        "method": {"kind": "mmcst", "language_weight": 0.01, "pooling_decay": 0.99},
        "backbone": {
            **{"kind": "hybrid", "model": "tf_efficientnet_lite0", "width": 96, "blocks": 1, "heads": 3},
            **{"layer_scale": 0.03, "views": 2},
        },
        "training": {"crop": SIDE, "epochs": 25, "batch_size": 12, "learning_rate": 1e-3, "checkpoint_every": 25},
    }
    work = stripes / f"results {index} {seed}"

    def run(command, settings: dict, output: str, *more: str, listed: str = index, **paths: Path) -> None:
        paths |= {"index": stripes / f"{listed}.csv", "root": stripes, "output": work / output}
        named = [text for name, path in paths.items() for text in (f"--{name}", str(path))]
        command.run(["--settings", json.dumps(settings), *named, *more])

    weights, negatives = stripes / "weights.safetensors", ["--negatives", "train"]
    run(freeze_features, settings, "features", "--seed", str(seed), *negatives, weights=weights)
    given = {name: stripes / f"{name}.safetensors" for name in ("text", "images", "weights")}
    given |= {"classes": stripes / "classes.txt", "work": work / "work", "curves": work / "curves.csv"}
    run(train, settings, "localizer", "--seed", str(seed), *negatives, features=work / "features", **given)
    shards, maps = ["--shard", "0", "--shards", "1"], {"maps": {"size": 2 * SIDE, "flip": False}}
    run(make_maps, maps, "0.safetensors", *shards, listed="shown", localizer=work / "localizer")
    found = []
    for image in read_shard(work / "0.safetensors"):
        (scores,) = enlarge_maps(image.maps, image.size)
        there = draw("disc", int(image.id.removeprefix("disc")))[1]
        found.append((scores[~there].mean(), scores[there].mean()))
    ground, disc = np.mean(found, axis=0)
    return float(ground), float(disc)


def test_negatives_take_what_always_comes_with_a_class_out_of_its_map(stripes: Path) -> None:
    """Every disc is on stripes, and nothing else is: by the tags alone, stripes may be a part of it."""
    ground, disc = map_of_discs(stripes, "without")
    without_stripes, disc_then = map_of_discs(stripes, "with")
    assert without_stripes < 0.6 * ground
    assert disc_then > 0.8 * disc
