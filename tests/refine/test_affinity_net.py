"""The affinity network: its grid, what is frozen, that it learns a border, resumes, and the commands around it."""

import json

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from stages.errors import DataError
from stages.images import read_mask, write_mask
from stages.index import Record, write_index
from stages.refine import make_masks, make_sure_regions, train_affinity
from stages.refine.affinity_net import AffinityNet, load_affinity, save_affinity
from stages.refine.affinity_pairs import node_pairs, pair_affinities
from stages.refine.affinity_views import AffinityViews, at_nodes
from stages.settings import LearnedAffinity
from stages.shards import ImageMaps, write_shard

CNN = "test_efficientnet"
SIZE = 64


def settings(**training: object) -> LearnedAffinity:
    values = {"crop": 32, "epochs": 2, "batch_size": 2, "learning_rate": 0.1, "backbone_rate": 0} | training
    return LearnedAffinity.model_validate(
        {
            "kind": "learned", "backbone": CNN, "strides": [8, 16], "channels": [8, 8],
            "sure_powers": [0.7, 1.5], "sure_crf": {"iterations": 0}, "training": values,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {name: value.contiguous() for name, value in timm.create_model(CNN).state_dict().items()}


@pytest.fixture
def dataset(tmp_path, weights):
    """Four pictures, red on the left and green on the right at various columns; their maps say so vaguely."""
    random = np.random.default_rng(0)
    records, shard = [], []
    for number, border in enumerate((24, 30, 36, 40)):
        left = np.broadcast_to(np.arange(SIZE) < border, (SIZE, SIZE))
        pixels = np.where(left[..., None], (210, 40, 40), (40, 170, 60)) + random.integers(-20, 20, (SIZE, SIZE, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / f"{number}.png")
        slope = np.clip((border - np.arange(16) * 4) / 40 + 0.5, 0, 1).astype(np.float32)
        shard.append(ImageMaps(str(number), np.tile(slope, (1, 16, 1)), np.array([1]), (SIZE, SIZE)))
        records.append(Record(str(number), f"{number}.png", "", ("cup",), "train"))
    write_index(tmp_path / "train.csv", records)
    write_shard(tmp_path / "0.safetensors", shard)
    save_file(weights, tmp_path / "cnn.safetensors")
    return tmp_path


def section(**training: object) -> str:
    return json.dumps({"affinity": settings(**training).model_dump(mode="json"), "crf": {"iterations": 0}})


def regions_command(folder):
    return [
        *("--settings", section(), "--index", str(folder / "train.csv"), "--root", str(folder)),
        *("--maps", str(folder / "0.safetensors"), "--output", str(folder / "regions"), "--processes", "1"),
    ]


def training_command(folder, name="run", **training):
    return [
        *("--settings", section(**training), "--index", str(folder / "train.csv"), "--root", str(folder)),
        *("--weights", str(folder / "cnn.safetensors"), "--regions", str(folder / "regions"), "--seed", "0"),
        *("--work", str(folder / name), "--curves", str(folder / f"{name}.csv")),
        *("--output", str(folder / f"{name}.safetensors")),
    ]


def test_features_lie_on_the_grid_of_the_first_stride(weights) -> None:
    net = AffinityNet(settings(), weights)
    assert net(torch.zeros(2, 3, 40, 72)).shape == (2, 16, 5, 9)
    assert net.stride == 8


def test_a_rate_of_zero_freezes_the_backbone(weights) -> None:
    net = AffinityNet(settings(), weights).train()
    net(torch.rand(1, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is None for parameter in net.backbone.parameters())
    assert all(parameter.grad is not None for parameter in [*net.reductions.parameters(), *net.mix.parameters()])
    learning = AffinityNet(settings(backbone_rate=0.1), weights)
    learning(torch.rand(1, 3, 32, 32)).sum().backward()
    assert any(parameter.grad is not None for parameter in learning.backbone.parameters())


def test_sizes_that_do_not_agree_are_refused() -> None:
    given = settings().model_dump()
    with pytest.raises(ValidationError, match="channels: 3 numbers for 2 feature maps; give one for each"):
        LearnedAffinity.model_validate(given | {"channels": [8, 8, 8]})
    with pytest.raises(ValidationError, match="channels: 2 numbers for 3 feature maps"):
        LearnedAffinity.model_validate(given | {"backbone": "resnet38"})
    with pytest.raises(ValidationError, match="training.crop: 30 is not a multiple of the stride 8; set 32"):
        LearnedAffinity.model_validate(given | {"training": {"crop": 30}})


def test_a_saved_network_is_the_same(tmp_path, weights) -> None:
    net = AffinityNet(settings(), weights).eval()
    save_affinity(tmp_path / "net.safetensors", net)
    images = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(load_affinity(tmp_path / "net.safetensors")(images), net(images), rtol=0, atol=0)
    (tmp_path / "net.safetensors").write_bytes(b"short")
    with pytest.raises(DataError, match="not a whole affinity network"):
        load_affinity(tmp_path / "net.safetensors")


def test_views_hold_image_and_regions_together(tmp_path) -> None:
    # Each pixel of the picture says in its red what its region is: so must the crop's nodes, mirrored or not.
    regions = np.random.default_rng(0).integers(0, 5, (6, 6)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    Image.fromarray(np.stack([regions * 50] * 3, axis=-1)).save(tmp_path / "a.png")
    write_mask(tmp_path / "mask.png", regions)
    views = AffinityViews(
        [tmp_path / "a.png"], [tmp_path / "mask.png"], crop=64, stride=8, statistics=((0, 0, 0), (1, 1, 1))
    )
    views.transform.transforms[2].brightness = views.transform.transforms[2].hue = None
    views.transform.transforms[2].contrast = views.transform.transforms[2].saturation = None
    torch.manual_seed(0)
    for _ in range(4):
        example = views[0]
        inside = example["regions"] != 255
        assert 0 < inside.sum() < inside.numel()  # the crop is larger than the picture
        pixels = at_nodes(example["inputs"][0], 8)
        torch.testing.assert_close(pixels[inside] * 255 / 50, example["regions"][inside].float())


def test_training_learns_the_border_and_the_walk_follows_it(dataset) -> None:
    make_sure_regions.run(regions_command(dataset))
    regions = read_mask(dataset / "regions/0.png")
    assert set(np.unique(regions)) == {0, 2, 255}
    train_affinity.run(training_command(dataset, epochs=15, learning_rate=0.5))
    net = load_affinity(dataset / "run.safetensors")
    image = torch.from_numpy(np.asarray(Image.open(dataset / "1.png")).copy()).permute(2, 0, 1).float() / 255
    mean, deviation = (torch.tensor(values)[:, None, None] for values in net.statistics)
    with torch.inference_mode():
        features = net(((image - mean) / deviation)[None])
    pairs = node_pairs(8, 8, 2)
    left = torch.arange(64) % 8 < 4  # the border at column 30 lies in the fourth node
    across = left[pairs[0]] != left[pairs[1]]
    affinities = pair_affinities(features, 2)[0]
    assert affinities[across].mean() < affinities[~across].mean() - 0.1

    make_masks.run(
        [
            *("--settings", section(epochs=15, learning_rate=0.5), "--threshold", "0.5", "--processes", "1"),
            *("--index", str(dataset / "train.csv"), "--root", str(dataset), "--maps", str(dataset / "0.safetensors")),
            *("--affinity", str(dataset / "run.safetensors"), "--output", str(dataset / "masks")),
        ]
    )
    mask = read_mask(dataset / "masks/1.png")
    assert mask.shape == (SIZE, SIZE)
    assert (mask[:, :20] == 2).all()
    assert (mask[:, 44:] == 0).all()


def test_a_broken_training_goes_on_where_it_stopped(dataset, monkeypatch) -> None:
    make_sure_regions.run(regions_command(dataset))
    train_affinity.run(training_command(dataset, "whole", epochs=3))
    calls = []
    original = AffinityViews.__getitem__

    def stop_in_the_third_epoch(self, index):
        calls.append(index)
        if len(calls) > 9:
            raise KeyboardInterrupt
        return original(self, index)

    with monkeypatch.context() as patched:
        patched.setattr(AffinityViews, "__getitem__", stop_in_the_third_epoch)
        with pytest.raises(KeyboardInterrupt):
            train_affinity.run(training_command(dataset, "broken", epochs=3))
    assert (dataset / "broken/last_checkpoint").is_file()
    train_affinity.run(training_command(dataset, "broken", epochs=3))
    whole, resumed = (load_file(dataset / f"{name}.safetensors") for name in ("whole", "broken"))
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=0)


def test_a_training_ends_at_the_first_loss_that_is_not_finite(dataset) -> None:
    make_sure_regions.run(regions_command(dataset))
    with pytest.raises(DataError, match=r"refine.affinity.training: the training ends at step \d+.*loss_affinity nan"):
        train_affinity.run(training_command(dataset, epochs=9, learning_rate=1e6))
    assert not (dataset / "run.safetensors").exists()
