"""Shards of maps: small on disk, exact to half a step of 1/255."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from stages.errors import DataError
from stages.shards import ImageMaps, read_shard, write_shard


def make_maps(image_id: str, classes: int) -> ImageMaps:
    random = np.random.default_rng(classes)
    maps = random.random((classes, 5, 7), dtype=np.float32)
    return ImageMaps(image_id, maps, np.arange(classes, dtype=np.int64) * 3, (20, 28))


def test_maps_are_read_back_in_order(tmp_path: Path) -> None:
    written = [make_maps("z", 2), make_maps("a/b.c", 1), make_maps("m", 0)]
    assert write_shard(tmp_path / "0.safetensors", written) == 3
    for before, after in zip(written, read_shard(tmp_path / "0.safetensors"), strict=True):
        assert after.id == before.id
        assert after.size == (20, 28)
        assert np.array_equal(after.classes, before.classes)
        assert after.maps.dtype == np.float32
        assert np.abs(after.maps - before.maps).max(initial=0) <= 0.5 / 255 + 1e-6


def test_zero_and_one_are_exact(tmp_path: Path) -> None:
    maps = np.array([[[0, 1]]], dtype=np.float32)
    write_shard(tmp_path / "0.safetensors", [ImageMaps("a", maps, np.array([4]), (1, 2))])
    (read,) = read_shard(tmp_path / "0.safetensors")
    assert read.maps == pytest.approx(maps, abs=1e-7)


def test_a_map_takes_a_byte_a_value(tmp_path: Path) -> None:
    write_shard(tmp_path / "0.safetensors", [make_maps("a", 2)])
    with safe_open(tmp_path / "0.safetensors", framework="numpy") as shard:
        assert shard.get_tensor("a/maps").dtype == np.uint8


def test_an_empty_shard_is_a_shard(tmp_path: Path) -> None:
    assert write_shard(tmp_path / "0.safetensors", []) == 0
    assert list(read_shard(tmp_path / "0.safetensors")) == []


def test_a_broken_shard_is_named(tmp_path: Path) -> None:
    path = tmp_path / "0.safetensors"
    with pytest.raises(DataError, match="not a whole shard"):
        list(read_shard(path))
    write_shard(path, [make_maps("a", 2)])
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="rerun `localize`"):
        list(read_shard(path))


@pytest.mark.parametrize("content", ["[]", '{"a"', '{"scale": "x"}', '{"scale": 1, "sizes": {"a": 3}}', "null"])
def test_a_description_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    save_file({"a/maps": np.zeros(3, dtype=np.uint8)}, tmp_path / "0.safetensors", {"maps": content})
    with pytest.raises(
        DataError, match=r"0\.safetensors: not a whole shard of maps .*; delete it and rerun `localize`"
    ):
        list(read_shard(tmp_path / "0.safetensors"))


def test_numbers_that_are_not_finite_are_named_with_their_shard(tmp_path: Path) -> None:
    tensors = {
        "a/maps": np.zeros((1, 2, 2), dtype=np.uint8),
        "a/classes": np.zeros(1, dtype=np.int64),
        "a/probabilities": np.array([np.nan], dtype=np.float32),
    }
    save_file(tensors, tmp_path / "0.safetensors", {"maps": '{"scale": 1, "sizes": {"a": [4, 4]}}'})
    with pytest.raises(
        DataError, match=r"0\.safetensors: a: localization maps: a probability has numbers that are not"
    ):
        list(read_shard(tmp_path / "0.safetensors"))


def test_the_size_to_label_at_is_kept_where_it_is_another(tmp_path: Path) -> None:
    own, large = make_maps("own", 1), dataclasses.replace(make_maps("large", 1), working=(10, 14))
    write_shard(tmp_path / "0.safetensors", [own, large])
    assert [image.label_size for image in read_shard(tmp_path / "0.safetensors")] == [(20, 28), (10, 14)]
    assert [image.size for image in read_shard(tmp_path / "0.safetensors")] == [(20, 28), (20, 28)]
    # Where no image is bounded, the file is what it always was.
    write_shard(tmp_path / "1.safetensors", [own])
    write_shard(tmp_path / "2.safetensors", [dataclasses.replace(own, working=own.size)])
    assert (tmp_path / "1.safetensors").read_bytes() == (tmp_path / "2.safetensors").read_bytes()
    assert b"working" not in (tmp_path / "1.safetensors").read_bytes()
