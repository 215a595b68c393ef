"""The plan of an experiment: who is in it, which files each reads and leaves, and what is shared."""

import json
from pathlib import Path

import pytest

from stages.errors import SettingsError
from stages.plan import Plan
from tests.plan.plans import DEMO, MSRC, VOC, plan_of


def test_the_own_localizer_refiner_and_segmenter_come_first(demo: Plan) -> None:
    assert next(iter(demo.localizers.by_folder)) == ""
    assert next(iter(demo.refiners.by_folder)) == "masks"
    assert list(demo.segmenters.by_folder)[:2] == ["pseudo_masks", "true_masks"]
    assert demo.localizers.own.path == "results/demo/localize/localizer.safetensors"
    assert demo.refiners.own.masks("val") == ["results/demo/refine/masks/val/0"]
    assert demo.segmenters.own.path == "results/demo/segment/pseudo_masks/segmenter.safetensors"


def test_equal_settings_and_seeds_are_one_localizer(demo: Plan) -> None:
    own = demo.localizers.own
    for table, row in (("ablation_tokens", -1), ("ablation_context", -1), ("compare_localizers", -1)):
        assert demo.tables[table].rows[row].seeds[0] == own
    other = {demo.tables[table].rows[-1].seeds[1].folder for table in ("ablation_tokens", "compare_localizers")}
    assert len(other) == 1
    assert other < set(demo.localizers.by_folder)


def test_what_differs_in_maps_alone_shares_a_training(demo: Plan) -> None:
    read = demo.tables["ablation_tokens"].rows[3].seeds
    assert read[0].trained == ""
    assert read[0].folder.startswith("variants/")
    assert read[0].path == demo.localizers.own.path
    assert read[0].maps("val") != demo.localizers.own.maps("val")
    assert read[1].trained == demo.tables["ablation_tokens"].rows[-1].seeds[1].folder


def test_what_is_not_trained_has_one_seed(demo: Plan) -> None:
    rows = {row.name: row.seeds for row in demo.tables["compare_localizers"].rows}
    assert {name: len(seeds) for name, seeds in rows.items()} == {
        **dict.fromkeys(("cam", "ts_cam", "mctformer_v2", "mctformer_plus", "mmcst"), 3),
        **dict.fromkeys(("clip", "clip_windows", "clip_proxy", "clip_es"), 1),
    }


def test_a_training_reads_what_its_settings_use(demo: Plan) -> None:
    assert set(demo.localizers.own.training_inputs) == {"weights", "images", "features"}
    none = next(row.seeds[0] for row in demo.tables["ablation_tokens"].rows if "visual" in row.row.title)
    assert set(none.training_inputs) == {"weights", "features"}
    clip = next(row.seeds[0] for row in demo.tables["compare_localizers"].rows if row.name == "clip")
    assert clip.training_inputs == {"weights": "results/demo/encode/image_tower.safetensors"}
    explained = next(row.seeds[0] for row in demo.tables["compare_localizers"].rows if row.name == "clip_es")
    assert explained.training_inputs == clip.training_inputs | {
        "backgrounds": "results/demo/encode/backgrounds.safetensors"
    }
    assert set(plan_of(VOC).localizers.own.training_inputs) == {"weights", "images"}


def test_a_training_and_maps_get_what_they_use_and_no_more(demo: Plan) -> None:
    training = json.loads(demo.localizers.training_json(demo.localizers.own.settings))
    maps = json.loads(demo.localizers.maps_json(demo.localizers.own.settings))
    assert "training" in training
    assert "maps" not in training
    assert "maps" in maps
    assert "training" not in maps


def test_refiners_of_other_seeds_have_networks_regions_and_thresholds_of_their_own(demo: Plan) -> None:
    row = next(row for row in demo.tables["compare_refiners"].rows if row.name == "affinity_crf")
    own, second, _ = row.seeds
    assert own == demo.refiners.own
    assert second.localizer.seed == 1
    for name in ("affinity", "regions", "threshold"):
        assert getattr(second, name) == f"{getattr(own, name)}-1"
    assert second.score("val") == "results/demo/evaluate/refiners/affinity_crf-1/pseudo_masks-val.json"
    assert second.inputs("val", "0")["maps"] == second.localizer.maps("val")[0]
    assert demo.refiners.threshold_inputs(second.threshold) == {"maps": second.localizer.maps("train")}


def test_refiners_have_the_experiments_seed_where_none_is_given() -> None:
    plan = plan_of(DEMO, seed=5, compare={"refiner_seeds": []})
    assert all(len(row.seeds) == 1 for row in plan.tables["compare_refiners"].rows)
    own = next(row for row in plan.tables["compare_refiners"].rows if row.name == "affinity_crf")
    assert own.seeds == [plan.refiners.own]


@pytest.mark.parametrize(
    ("changes", "inputs", "option"),
    [
        ({"background_threshold": 0.25}, {}, "--threshold 0.25"),
        ({"background_threshold": "oracle"}, {"threshold": "results/demo/refine/threshold/oracle.json"}, ""),
        ({"background": "power", "background_power": 4.0}, {}, "--power 4.0"),
    ],
)
def test_masks_know_what_made_their_background(changes: dict, inputs: dict, option: str) -> None:
    plan = plan_of(DEMO, refine=changes)
    scored = plan.scored_masks("", "pseudo_masks", "val")
    assert (scored.inputs, scored.background) == (inputs, option)
    assert plan.maps_threshold(plan.localizers.own) == {}  # a number is an option; an oracle is that score's own best


def test_a_chosen_threshold_is_of_the_own_localizers_maps(demo: Plan) -> None:
    (path,) = demo.maps_threshold(demo.localizers.own).values()
    assert path.startswith("results/demo/refine/threshold/auto-")
    other = demo.tables["compare_localizers"].rows[0].seeds[0]
    assert demo.maps_threshold(other) == {}


def test_scores_of_predictions_find_their_segmenter(demo: Plan) -> None:
    bound = demo.scored_masks("segmenters/2/", "upper_bound", "test")
    assert bound.masks[0] == "results/demo/segment/variants/true_masks-2/predictions/test/0"
    assert (bound.seed, bound.language, bound.inputs, bound.background) == (2, "none", {}, "")
    told = demo.scored_masks("", "told_segmenter", "train")
    assert told.masks[0] == "results/demo/segment/pseudo_masks/told/train/0"
    assert "packaged towers" in told.language


def test_scores_of_masks_are_in_known_folders(demo: Plan) -> None:
    folders = demo.scored_folders
    assert folders[0] == ""
    assert len(folders) == len(set(folders))
    assert "refiners/affinity_crf-1/" in folders
    assert "segmenters/2/" in folders
    for path in (*demo.tables["compare_refiners"].scores, *demo.segmenters.scores()):
        folder = path.removeprefix("results/demo/evaluate/").rpartition("/")[0]
        assert f"{folder}/".lstrip("/") in folders


def test_every_score_of_every_table_has_a_scored_thing_behind_it(demo: Plan) -> None:
    for table in demo.tables.values():
        assert len(set(table.scores)) == len(table.scores)
        for row in table.rows:
            folders = {one.folder for one in row.seeds}
            assert folders <= {*demo.localizers.by_folder, *demo.refiners.by_folder}
    # For each seed two rounds, told on train and on val and test, and the bound on these.
    assert len(demo.segmenters.scores()) == 1 + 3 * (2 * (1 + 2) + 2)


def test_splits_and_what_is_final(demo: Plan) -> None:
    assert demo.splits == ["train", "val", "test"]
    assert demo.map_splits == ["train", "val"]
    assert plan_of(MSRC).learned_index == "results/msrc/data/train+val.csv"
    assert len(demo.final) == len(set(demo.final))
    assert all(path.startswith("results/demo/") for path in demo.final)


def test_galleries_show_the_doubts_that_are_measured(demo: Plan) -> None:
    assert demo.galleries.final == ["gallery"]
    assert demo.galleries.of("gallery").doubt is None
    assert "doubt" not in demo.galleries.inputs("gallery")
    # The target makes pages of its own where `all` has none with doubts.
    assert [Path(path).stem for path in demo.doubt] == ["doubt-train", "doubt-val", "gallery-train", "gallery-val"]
    assert json.loads(demo.galleries.links("gallery-train")) == {"val": "gallery-val.html"}
    own = plan_of(DEMO, evaluate={"doubt": ["train", "val"]})
    assert own.galleries.final == ["gallery", "gallery-train"]
    assert own.galleries.inputs("gallery")["doubt"] == "results/demo/evaluate/doubt-val.csv"
    assert [Path(path).stem for path in own.doubt] == ["doubt-train", "doubt-val", "gallery-train", "gallery"]
    assert json.loads(own.galleries.links("gallery")) == {"train": "gallery-train.html"}
    train = own.galleries.inputs("gallery-train")
    assert train["images"] == "results/demo/evaluate/pseudo_masks-train-images.csv"
    assert "results/demo/segment/pseudo_masks/compared/train/0" in train["shown"]
    bare = plan_of(DEMO, evaluate={"doubt": ["train"], "maps": [], "segmenter": []})
    assert not {"images"} & {*bare.galleries.inputs("gallery"), *bare.galleries.inputs("gallery-train")}


def test_doubts_of_a_split_need_its_masks(demo: Plan) -> None:
    assert plan_of(DEMO, evaluate={"doubt": ["test"]}).map_splits == ["train", "val", "test"]
    own = demo.doubts.inputs("val", "0")
    assert own["masks"] == demo.refiners.own.masks("val")[0]
    assert demo.refiners.own.inputs("val", "0").items() <= own.items()


def test_scores_of_joined_splits_read_the_shards_of_both() -> None:
    plan = plan_of(MSRC)
    assert plan.localizers.own.maps("train+val") == [
        f"results/msrc/localize/maps/{split}/0.safetensors" for split in ("train", "val")
    ]


def test_lists_of_a_users_dataset_are_inputs_where_they_are_there(tmp_path: Path) -> None:
    plan = plan_of(VOC, data={"root": str(tmp_path)})
    assert plan.dataset.lists("val") == []
    path = tmp_path / f"ImageSets/Segmentation/{plan.experiment.data.voc.val}.txt"
    path.parent.mkdir(parents=True)
    path.touch()
    assert plan.dataset.lists("val") == [str(path)]
    assert plan.dataset.makes_masks
    fetched = plan_of(VOC, data={"fetch": True})
    assert fetched.dataset.lists("val") == []
    assert fetched.dataset.lists("test") == ["results/voc12/data/fetched_test.json"]
    assert fetched.dataset.inputs == {"dataset": "results/voc12/data/fetched.json"}


def test_the_archive_for_vocs_server_is_refused_for_other_data(demo: Plan) -> None:
    assert plan_of(VOC).submission == "results/voc12/evaluate/voc_submission.tar.gz"
    with pytest.raises(SettingsError, match="needs data.format `voc`"):
        _ = demo.submission
