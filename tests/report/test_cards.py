"""Model cards tell what provenance and scores tell, and their commands exist."""

import json
import re
from pathlib import Path

import pytest
import yaml

from stages.errors import DataError
from stages.evaluate.scores import FixedScore, write_score
from stages.evaluate.wsol_score import LocalizationScore, write_localization
from stages.experiment import read_config
from stages.files import write_json
from stages.localize import show
from stages.report import write_cards
from stages.report.cards import own_licence
from stages.segment import predict
from tests.workflow.tiny import REPOSITORY

DEMO = REPOSITORY / "configs/demo.yaml"


@pytest.fixture
def provenance(tmp_path: Path):
    """Writes a provenance of the demo with changed settings, and returns its path."""

    def write(**sections) -> Path:
        settings = json.loads(read_config(DEMO).model_dump_json())
        for section, changes in sections.items():
            settings[section] |= changes
        content = {
            "settings": settings,
            "splits": {"train": {"images": 1600}, "val": {"images": 150}},
            "outputs_sha256": {"localize/localizer.safetensors": "abc1"},
            "versions": {"tagmask": "9.8.7"},
            "program": {"commit": "feed", "changed_files": 2},
        }
        write_json(tmp_path / "provenance.json", content)
        return tmp_path / "provenance.json"

    return write


def card(model: str, provenance: Path, *options: str | Path) -> str:
    output = provenance.parent / f"{model}/README.md"
    common = ["--model", model, "--provenance", str(provenance), "--results", "results/demo", "--output", str(output)]
    write_cards.run([*common, *map(str, options)])
    return output.read_text(encoding="utf-8")


def settings_in(text: str) -> dict:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return yaml.safe_load(block)


def test_the_localizers_card(provenance, make_score, tmp_path: Path) -> None:
    best = {"threshold": 0.35, "threshold_source": "oracle", "fixed": FixedScore(threshold=0.4, miou=36, source="auto")}
    write_score(tmp_path / "maps.json", make_score("maps", "val", 41.25, **best))
    write_score(tmp_path / "segmenter.json", make_score("segmenter", "val", 87.65))
    found = LocalizationScore(
        split="test", images=77, pxap=61.24, piou=50.5, peak_threshold=0.2, iou=48.75, threshold=0.25, seed=0
    )
    write_localization(tmp_path / "localization.json", found)
    scores = ("--scores", tmp_path / "maps.json", tmp_path / "segmenter.json")
    text = card("localizer", provenance(), *scores, "--localization", tmp_path / "localization.json")
    for words in (
        "# demo: localizer",
        "| method | MMCST (Xu et al., *Learning Multi-modal Class-specific Tokens",
        "| trained on | 1,600 images of train: their tags alone, no masks |",
        "| text-image model | packaged towers, learned from cut-outs of the demo |",
        "| made by | tagmask 9.8.7, commit feed, with 2 files changed |",
        "`bird`, `hoofed mammal`, `clawed mammal`",
        "| maps | val | 3 | 41.2 |  | 0.35 | best on this split |",
        "| maps | val | 3 | 36.0 |  | 0.40 | without true masks |",
        "| test | 77 | 61.2 | 50.5 | 48.8 |",
        "SHA-256: `abc1`",
        "weights of `tf_efficientnet_lite0` (source: `package`)",
        "code of MMCST, which tagmask does not contain: no public code.",
        "- tagmask: Apache-2.0.",
    ):
        assert words in text
    assert "87.6" not in text  # the segmenter's
    written = settings_in(text)["localize"]
    assert written["backbone"] == json.loads(read_config(DEMO).localize.backbone.model_dump_json())
    assert list(written) == ["method", "backbone", "training", "maps"]


def test_the_segmenters_card(provenance, make_score, tmp_path: Path) -> None:
    write_score(tmp_path / "maps.json", make_score("maps", "val", 41.2))
    of_masks = {"threshold": 0.4, "threshold_source": "fixed", "boundary_iou": 44.4}
    write_score(tmp_path / "masks.json", make_score("pseudo_masks", "train", 55.5, **of_masks))
    write_score(tmp_path / "segmenter.json", make_score("segmenter", "val", 66.6))
    files = [tmp_path / f"{name}.json" for name in ("maps", "masks", "segmenter")]
    text = card("segmenter", provenance(refine={"background_threshold": 0.4}), "--scores", *files)
    for words in (
        "| network | DeepLabV3+ (Chen et al.,",
        "| trained on | 1,600 images of train with pseudo masks, made from their tags and the maps of MMCST |",
        "| background of the pseudo masks | the threshold 0.4, given in the config |",
        "| pseudo masks | train | 3 | 55.5 | 44.4 | 0.40 | fixed |",
        "| segmenter | val | 3 | 66.6 |  |  |  |",
    ):
        assert words in text
    assert "41.2" not in text  # the maps'
    assert "SHA-256" not in text  # the provenance has none of it
    assert list(settings_in(text)["segment"]) == ["network", "training", "inference"]


def test_the_card_of_a_second_round(provenance, make_score, tmp_path: Path) -> None:
    write_score(tmp_path / "segmenter.json", make_score("segmenter", "val", 66.6, round=2))
    text = card("segmenter", provenance(segment={"rounds": 2}), "--scores", tmp_path / "segmenter.json")
    for words in (
        "1,600 images of train with masks that the segmenter of round 1, told their tags, gave them (the first learned"
        " from pseudo masks, made from their tags and the maps of MMCST) |",
        "`segment/pseudo_masks-round2/segmenter.safetensors` below the results",
        "| segmenter, round 2 | val | 3 | 66.6 |",
    ):
        assert words in text
    assert settings_in(text)["segment"]["rounds"] == 2


def test_what_trains_nothing_learned_from_nothing(provenance) -> None:
    text = card("localizer", provenance(localize={"method": {"kind": "clip"}}))
    assert "| trained on | nothing:" in text
    assert "Training started from" not in text
    assert list(settings_in(text)["localize"]) == ["method", "maps"]
    assert "None: no split with true masks was scored." in text
    assert "| method | MaskCLIP (Zhou, Loy and Dai" in text
    visual = {"kind": "mmcst", "tokens": "visual", "language_context": "none"}
    assert "| text-image model | none |" in card("localizer", provenance(localize={"method": visual}))


def test_a_proxy_is_named_with_its_method(provenance) -> None:
    proxy = {"model": "tf_efficientnet_lite0", "strides": [16]}
    text = card("localizer", provenance(localize={"method": {"kind": "clip", "attention": "proxy", "proxy": proxy}}))
    assert "| method | ProxyCLIP (Lan et al., *ProxyCLIP: Proxy Attention" in text
    assert "| frozen network beside it | `tf_efficientnet_lite0` |" in text
    assert "weights of `tf_efficientnet_lite0` (source: `package`)" in text
    assert settings_in(text)["localize"]["method"]["proxy"]["strides"] == [16]


@pytest.mark.parametrize(
    ("refine", "words"),
    [
        ({"background_threshold": "auto"}, "a threshold chosen without true masks"),
        ({"background_threshold": "oracle"}, "a threshold chosen with true masks"),
        ({"background": "power", "background_power": 8}, "(1 - the best map) to the power of 8"),
    ],
)
def test_how_the_background_was_chosen(provenance, refine: dict, words: str) -> None:
    assert f"| background of the pseudo masks | {words} |" in card("segmenter", provenance(refine=refine))


def test_images_of_several_splits_are_counted(provenance) -> None:
    text = card("localizer", provenance(localize={"splits": ["train", "val"]}))
    assert "1,600 images of train and 150 images of val" in text


@pytest.mark.parametrize(("model", "command"), [("localizer", show), ("segmenter", predict)])
def test_the_command_of_a_card_exists(provenance, capsys, model: str, command) -> None:
    (line,) = re.findall(r"^```bash\n(.*?)\n```", card(model, provenance()), re.MULTILINE | re.DOTALL)
    assert line.startswith(f"python -m {command.__name__} ")
    with pytest.raises(SystemExit):
        command.run(["--help"])
    helped = capsys.readouterr().out
    assert all(option in helped for option in re.findall(r" (--[a-z-]+)", line))


def test_a_provenance_that_lacks_something_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "provenance.json", {"experiment": "demo"})
    with pytest.raises(DataError, match=r"provenance\.json: no whole provenance"):
        card("localizer", tmp_path / "provenance.json")


def test_the_licence_is_the_projects(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nlicense = "MIT"\n')
    assert own_licence(tmp_path) == "MIT"
