"""Training by commands: files in, files out, resumption, and starting afresh."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.hooks import LoggerHook
from PIL import Image
from safetensors.torch import load_file

from stages.errors import DataError
from stages.index import Record, write_index
from stages.localize import inference, make_maps, train
from stages.localize.checkpoint import FORMAT, load_localizer, save_localizer
from stages.localize.frozen import read_features
from stages.localize.views import embeddings_of, multi_hot, training_transform
from stages.settings import LocalizerTraining, LocalizeSettings
from stages.shards import read_shard
from tests.localize.conftest import CLASSES, HYBRID, arguments, freeze


def test_trains_and_makes_maps_from_files(dataset: Path, weight_files: dict[str, Path]) -> None:
    train.run(arguments(dataset, weight_files["hybrid"]))
    assert "loss_language" in (dataset / "curves.csv").read_text()
    _, classes = load_localizer(dataset / "localizer.safetensors", LocalizeSettings())
    assert classes == CLASSES
    maps = dataset / "0.safetensors"
    settings = json.dumps({"backbone": HYBRID, "maps": {"size": 64}})
    paths = {"index": dataset / "train.csv", "root": dataset, "localizer": dataset / "localizer.safetensors"}
    paths |= {"output": maps}
    named = [text for name, path in paths.items() for text in (f"--{name}", str(path))]
    make_maps.run(["--settings", settings, "--shard", "1", "--shards", "2", *named])
    assert [image.id for image in read_shard(maps)] == ["im1", "im3", "im5"]


def test_a_killed_training_resumes_to_the_same_weights(dataset: Path, weight_files, monkeypatch) -> None:
    train.run(arguments(dataset, weight_files["hybrid"], epochs=3, views=2))
    unbroken = load_file(dataset / "localizer.safetensors")
    shutil.rmtree(dataset / "work")
    (dataset / "localizer.safetensors").unlink()
    original = LoggerHook.after_train_epoch

    def killed(self, runner) -> None:
        original(self, runner)
        if runner.epoch == 1:  # the second epoch ends; its checkpoint is not yet written
            raise KeyboardInterrupt

    monkeypatch.setattr(LoggerHook, "after_train_epoch", killed, raising=False)
    with pytest.raises(KeyboardInterrupt):
        train.run(arguments(dataset, weight_files["hybrid"], epochs=3, views=2))
    assert not (dataset / "localizer.safetensors").exists()
    monkeypatch.undo()
    train.run(arguments(dataset, weight_files["hybrid"], epochs=3, views=2))
    resumed = load_file(dataset / "localizer.safetensors")
    for name, value in unbroken.items():
        torch.testing.assert_close(resumed[name], value, atol=1e-6, rtol=1e-5, msg=name)
    logs = "".join(path.read_text() for path in (dataset / "work").glob("*/*.log"))
    assert "resumed epoch: 1" in logs


def test_other_settings_start_afresh(dataset: Path, weight_files: dict[str, Path]) -> None:
    train.run(arguments(dataset, weight_files["hybrid"], epochs=1))
    mark = dataset / "work" / "of the first run"
    mark.touch()
    train.run(arguments(dataset, weight_files["hybrid"], epochs=1, seed=1))
    assert not mark.exists()


def test_frozen_features_are_those_of_their_views(dataset: Path, weight_files, make_localizer) -> None:
    folder = freeze(dataset, weight_files["hybrid"], views=2, seed=5)
    features = read_features(folder, images=6)
    assert [level.shape[:2] for level in features] == [(6, 2), (6, 2)]
    pyramid = make_localizer("hybrid").encoder.pyramid
    transform = training_transform(LocalizerTraining(crop=64), pyramid.statistics)
    torch.manual_seed(5)
    first = pyramid.features(transform(Image.open(dataset / "0.png"))[None])
    for stored, direct in zip(features, first, strict=True):
        np.testing.assert_allclose(stored[0, 0], direct[0], atol=5e-3, rtol=5e-3)


def test_features_of_other_images_are_refused(dataset: Path, weight_files) -> None:
    folder = freeze(dataset, weight_files["hybrid"], views=1, seed=0)
    with pytest.raises(DataError, match="not the features of 7 images"):
        read_features(folder, images=7)
    (folder / "level-1.npy").write_bytes((folder / "level-1.npy").read_bytes()[:200])
    with pytest.raises(DataError, match="no whole features"):
        read_features(folder, images=6)


def test_unknown_tag_and_missing_embedding_are_named() -> None:
    record = Record("photo7", "photo7.jpg", "", ("cat",), "train")
    with pytest.raises(DataError, match="photo7: tag 'cat' is not in `data.classes`"):
        multi_hot([record], CLASSES)
    with pytest.raises(DataError, match="photo7"):
        embeddings_of([record], {"other": torch.zeros(2)})


def test_a_truncated_localizer_is_refused(dataset: Path, make_localizer, weight_files: dict[str, Path]) -> None:
    path = dataset / "localizer.safetensors"
    save_localizer(path, make_localizer("hybrid"), CLASSES)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match="not a whole localizer"):
        load_localizer(path, LocalizeSettings())


def test_a_localizer_of_another_version_is_told_by_its_setting(dataset: Path, make_localizer) -> None:
    path, localizer = dataset / "localizer.safetensors", make_localizer("hybrid")
    save_localizer(path, localizer, CLASSES)
    with FORMAT.opened(path) as (description, _):
        older = description | {"settings": description["settings"] | {"tokens": "visual"}}
    FORMAT.save(path, localizer, older)
    with pytest.raises(DataError, match=r"another version of tagmask.*localize\.tokens.*; delete it and rerun"):
        load_localizer(path, LocalizeSettings())


def test_the_localizer_learns_from_images_with_tags_alone(tmp_path: Path) -> None:
    records = [Record(name, f"{name}.jpg", "", labels, "train") for name, labels in (("a", ()), ("b", ("cat",)))]
    write_index(tmp_path / "train.csv", records)
    assert train.training_records(tmp_path / "train.csv") == records[1:]
    write_index(tmp_path / "train.csv", records[:1])
    with pytest.raises(DataError, match=r"train\.csv: none of 1 images has a tag"):
        train.training_records(tmp_path / "train.csv")


def test_a_training_ends_at_the_first_loss_that_is_not_finite(dataset: Path, weight_files: dict[str, Path]) -> None:
    words = arguments(dataset, weight_files["hybrid"], epochs=3)
    settings = json.loads(words[1])
    settings["training"] |= {"learning_rate": 1e6, "gradient_clip": None}
    with pytest.raises(DataError, match=r"localize.training: .* at step [23].*loss_\w+ nan.*likely causes"):
        train.run([words[0], json.dumps(settings), *words[2:]])
    assert not (dataset / "localizer.safetensors").exists()
    for path in (dataset / "work").glob("*.pth"):
        state = torch.load(path, weights_only=False)["state_dict"]
        assert all(value.isfinite().all() for value in state.values())


def test_weights_that_are_not_finite_are_no_checkpoint(
    dataset: Path, weight_files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = LoggerHook.after_train_iter

    def spoil(self, runner, *given, **more) -> None:
        original(self, runner, *given, **more)
        next(runner.model.parameters()).data.fill_(torch.nan)  # as an update does whose loss was finite

    monkeypatch.setattr(LoggerHook, "after_train_iter", spoil)
    words = arguments(dataset, weight_files["hybrid"], epochs=1)
    settings = json.loads(words[1])
    settings["training"] |= {"batch_size": 6}  # the checkpoint comes after the only step
    with pytest.raises(DataError, match="where a checkpoint was due: every loss was finite, but not the weights"):
        train.run([words[0], json.dumps(settings), *words[2:]])
    assert not list((dataset / "work").glob("*.pth"))


def test_maps_that_are_not_finite_are_told_with_their_image(dataset: Path, make_localizer) -> None:
    localizer = make_localizer("hybrid")
    next(localizer.encoder.blocks.parameters()).data.fill_(torch.nan)
    records = [Record("im0", "0.png", "", (CLASSES[0],), "train")]
    with pytest.raises(DataError, match="im0: localization maps: a map has numbers that are not finite"):
        list(
            inference.make_maps(
                records,
                dataset,
                localizer=localizer,
                classes=CLASSES,
                settings=LocalizeSettings.model_validate({"maps": {"size": 64}}),
                device=torch.device("cpu"),
            )
        )
