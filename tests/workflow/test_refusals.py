"""What Snakemake says to a config that cannot run: one clear error, before any job."""

from pathlib import Path

from tests.workflow.conftest import Snakemake
from tests.workflow.planned import DEMO, changed, list_voc
from tests.workflow.tiny import REPOSITORY


def test_a_misspelt_setting_is_one_clear_error(snakemake: Snakemake, tmp_path: Path) -> None:
    config = changed(DEMO, tmp_path, "background_threshold", "backgroud_threshold")
    result = snakemake(tmp_path, "--dry-run", config=config)
    assert result.returncode != 0
    assert "changed.yaml: refine.backgroud_threshold: no such setting (given: " in result.stdout
    assert "); did you mean `refine.background_threshold`?" in result.stdout
    assert "Traceback" not in result.stdout
    assert "ValidationError" not in result.stdout


def test_a_missing_dataset_folder_is_one_clear_error(snakemake: Snakemake, tmp_path: Path) -> None:
    result = snakemake(tmp_path, "--dry-run", config=REPOSITORY / "configs/voc12.yaml")
    assert result.returncode != 0
    assert "voc12.yaml: data.root: no folder datasets/VOC2012; put the dataset there" in result.stdout
    assert "Traceback" not in result.stdout


def test_missing_weights_are_one_clear_error(snakemake: Snakemake, tmp_path: Path) -> None:
    list_voc(tmp_path)
    (tmp_path / "datasets/res38_cls.pth").unlink()
    result = snakemake(tmp_path, "--dry-run", config=REPOSITORY / "configs/voc12.yaml")
    assert result.returncode != 0
    assert "voc12.yaml: encode.weights.resnet38: no file datasets/res38_cls.pth; put it there (docs/" in result.stdout
    assert "Traceback" not in result.stdout


def test_a_misspelt_overlay_is_one_clear_error(snakemake: Snakemake, tmp_path: Path) -> None:
    config = changed(DEMO, tmp_path, "model: deeplabv3plus", "model: deeplabv3pls")
    result = snakemake(tmp_path, "--dry-run", config=config)
    assert result.returncode != 0
    told = "changed.yaml: segment.network.model: no overlay 'deeplabv3pls'; did you mean 'deeplabv3plus'?"
    assert told in result.stdout
    assert "Traceback" not in result.stdout


def test_a_setting_given_twice_is_one_clear_error(snakemake: Snakemake, tmp_path: Path) -> None:
    config = changed(DEMO, tmp_path, "seed: 0\n", "seed: 0\nseed: 5\n")
    result = snakemake(tmp_path, "--dry-run", config=config)
    assert result.returncode != 0
    assert "changed.yaml: line 6 gives `seed` again, after line 5" in result.stdout
    assert "Traceback" not in result.stdout
