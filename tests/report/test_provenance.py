"""What must be known to make results again."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from stages.report import write_provenance
from stages.report.provenance import commit_of, gpus, processor, split_checksums


def test_commit_and_changed_files(tmp_path: Path) -> None:
    assert commit_of(tmp_path) == {"commit": None, "changed_files": None}
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    (tmp_path / "a").write_text("one")
    for words in (["init", "-q"], ["add", "a"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    clean = commit_of(tmp_path)
    assert len(clean["commit"]) == 40
    assert clean["changed_files"] == 0
    (tmp_path / "a").write_text("two")
    assert commit_of(tmp_path) == {**clean, "changed_files": 1}


def test_checksums_of_a_split_are_of_its_files(results: Path) -> None:
    found = split_checksums(results / "data/val.csv", results.parent)
    assert (found["images"], found["masks"]) == (3, 3)
    total = hashlib.sha256()
    for name in "abc":
        total.update(hashlib.sha256((results.parent / f"{name}.jpg").read_bytes()).digest())
    assert found["images_sha256"] == total.hexdigest()
    before = found["masks_sha256"]
    (results.parent / "b.png").write_bytes((results.parent / "b.png").read_bytes() + b"x")
    assert split_checksums(results / "data/val.csv", results.parent)["masks_sha256"] != before


def test_the_processor_is_the_kernel_s(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: Fast One 3000\n")
    assert processor(tmp_path / "cpuinfo") == "Fast One 3000"


def test_gpus_are_the_driver_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus() == []
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho NVIDIA A100-SXM4-40GB\necho NVIDIA A100-SXM4-40GB\n")
    program.chmod(0o755)
    assert gpus() == ["NVIDIA A100-SXM4-40GB"] * 2
    program.write_text("#!/bin/sh\necho NVIDIA-SMI has failed\nexit 9\n")
    assert gpus() == []


def test_the_file_holds_it_all(results: Path) -> None:
    methods = {"localize": {"method": {"kind": "cam"}}, "segment": {"network": {"model": "mine.py"}}}
    config = {"experiment": "few", "seed": 3, "compare": {"seeds": [0, 1]}, **methods}
    paths = ["--results", str(results), "--root", str(results.parent), "--indexes", str(results / "data/val.csv")]
    paths += ["--inputs", str(results / "data/classes.txt"), "--outputs", str(results / "refine/masks/val/0")]
    output = results / "provenance.json"
    write_provenance.run(["--config", json.dumps(config), *paths, "--output", str(output)])
    content = json.loads(output.read_text())
    assert (content["experiment"], content["seed"], content["seeds_of_tables"]) == ("few", 3, [0, 1])
    assert content["settings"] == config
    localizer = content["methods"]["localizer"]
    assert (localizer["papers"][0]["year"], localizer["published"][0]["voc"]) == (2016, 48.8)
    assert content["methods"]["segmenter"] is None  # the user's own
    assert content["inputs_sha256"] == {
        "data/classes.txt": hashlib.sha256((results / "data/classes.txt").read_bytes()).hexdigest()
    }
    assert list(content["outputs_sha256"]) == ["refine/masks/val/0"]
    assert content["versions"]["numpy"] >= "2"
    assert content["hardware"]["cores"] >= 1
