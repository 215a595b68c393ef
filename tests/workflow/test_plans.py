"""What Snakemake would run, and what it says to a wrong config. Nothing runs here."""

from pathlib import Path

import yaml

from tests.workflow.conftest import Snakemake
from tests.workflow.planned import DEMO, changed, command_of, list_voc
from tests.workflow.tiny import REPOSITORY, TINY, jobs_of


def test_the_demo_is_planned_from_data_to_report(snakemake: Snakemake, tmp_path: Path) -> None:
    result = snakemake(tmp_path, "--dry-run", config=DEMO)
    assert result.returncode == 0, result.stdout
    jobs = jobs_of(result.stdout)
    shards = yaml.safe_load(DEMO.read_text())["data"]["shards"]
    assert jobs == {
        **dict.fromkeys(("fetch", "compose", "list_classes", "train_clip", "embed_text", "embed_images"), 1),
        **dict.fromkeys(("freeze_features", "train_localizer", "resolve_model", "train_segmenter"), 1),
        **dict.fromkeys(("summarize", "make_page", "make_gallery", "write_provenance", "write_cards", "all"), 1),
        "load_weights": 1,  # one CNN serves CLIP's tower, the localizer and the segmenter
        **dict.fromkeys(("make_index", "draw_sheet"), 3),
        **dict.fromkeys(("freeze_map_features", "make_maps", "make_masks", "predict"), 2 * shards),  # for two splits
        "score_maps": 2,
        "score_masks": 4,
        "make_sure_regions": shards,  # of train
        "train_affinity": 1,
        "choose_threshold": 1,
    }


def test_tables_train_each_variant_once_and_all_trains_none(snakemake: Snakemake, tmp_path: Path) -> None:
    tables = ("ablation_tokens", "ablation_context", "compare_localizers")
    planned = {table: jobs_of(snakemake(tmp_path, "--dry-run", table, config=DEMO).stdout) for table in tables}
    together = jobs_of(snakemake(tmp_path, "--dry-run", *tables, config=DEMO).stdout)
    # Four and five trained rows of three seeds, the last row's first seed being the experiment's own localizer. The row
    # of local tokens that is read from the full model trains nothing.
    assert planned["ablation_tokens"]["train_localizer"] == 4 * 3
    assert planned["ablation_tokens"]["make_maps"] == 5 * 3 + 1  # and of train, where the threshold is chosen
    assert planned["ablation_context"]["train_localizer"] == 5 * 3
    assert planned["ablation_tokens"]["freeze_features"] == 1
    # Four rivals of three seeds, the training-free ones once, and the own localizer's seeds.
    rivals = yaml.safe_load(DEMO.read_text(encoding="utf-8"))["compare"]["localizers"]
    free = [name for name, rival in rivals.items() if rival["method"]["kind"].startswith("clip")]
    assert planned["compare_localizers"]["train_localizer"] == 4 * 3 + len(free) + 3
    # What tables share is trained once: global multi-modal tokens and the own localizer.
    assert together["train_localizer"] == 4 * 3 + 5 * 3 - (3 + 3) + (4 * 3 + len(free))
    assert jobs_of(snakemake(tmp_path, "--dry-run", config=DEMO).stdout)["train_localizer"] == 1


def test_a_row_that_changes_maps_alone_trains_nothing_and_has_the_curves_of_the_own_localizer(
    snakemake: Snakemake, tmp_path: Path
) -> None:
    row = "    large: {maps: {size: 512}}\n    ts_cam:"
    config = changed(DEMO, tmp_path, "    ts_cam:", row)
    before = jobs_of(snakemake(tmp_path, "--dry-run", "compare_localizers", config=DEMO).stdout)
    planned = snakemake(tmp_path, "--dry-run", "--printshellcmds", "compare_localizers", config=config)
    assert planned.returncode == 0, planned.stdout
    jobs = jobs_of(planned.stdout)
    assert jobs["train_localizer"] == before["train_localizer"]
    assert jobs["make_maps"] == before["make_maps"] + 3  # seeds
    assert "variants/large-0/maps" in planned.stdout
    for made_by_training in ("training.csv", "localizer.safetensors", "train.tsv"):
        assert f"variants/large-0/{made_by_training}" not in planned.stdout


def test_the_upper_bound_adds_one_training_and_its_scores(snakemake: Snakemake, tmp_path: Path) -> None:
    plain = jobs_of(snakemake(tmp_path, "--dry-run", config=DEMO).stdout)
    bound = jobs_of(snakemake(tmp_path, "--dry-run", "upper_bound", config=DEMO).stdout)
    assert bound["train_segmenter"] == plain["train_segmenter"] + 1
    assert bound["predict"] == 2 * plain["predict"]
    assert bound["score_masks"] == plain["score_masks"] + 2


def test_doubts_are_made_where_they_are_asked_for(snakemake: Snakemake, tmp_path: Path) -> None:
    plain = jobs_of(snakemake(tmp_path, "--dry-run", config=DEMO).stdout)
    assert not {"measure_doubt", "join_doubts"} & set(plain)
    asked = snakemake(tmp_path, "--dry-run", "--printshellcmds", "doubt", config=DEMO)
    assert asked.returncode == 0, asked.stdout
    jobs = jobs_of(asked.stdout)
    assert {rule: jobs[rule] for rule in ("measure_doubt", "join_doubts", "predict", "make_gallery")} == dict.fromkeys(
        ("measure_doubt", "join_doubts", "predict", "make_gallery"), 2
    )
    told = [line for line in asked.stdout.splitlines() if command_of(line) == "segment.predict_shard"]
    assert all("--told --untagged-free" in line for line in told)
    own = changed(DEMO, tmp_path, "  segmenter: [val, test]\n", "  segmenter: [val, test]\n  doubt: [train, test]\n")
    jobs = jobs_of(snakemake(tmp_path, "--dry-run", config=own).stdout)
    # Of test as well there are maps and masks then; its gallery and that of train stand beside val's.
    assert {rule: count - plain.get(rule, 0) for rule, count in jobs.items() if count != plain.get(rule)} == {
        **dict.fromkeys(("measure_doubt", "join_doubts", "predict", "make_gallery"), 2),
        **dict.fromkeys(("freeze_map_features", "make_maps", "make_masks"), 1),
    }


def test_numbers_of_the_command_line_reach_the_jobs_as_numbers(snakemake: Snakemake, tmp_path: Path) -> None:
    """Snakemake reads what is below a section as text."""
    config = changed(DEMO, tmp_path, "learning_rate: 5.0e-4", "learning_rate: 5e-4")  # text as well, in YAML 1.1
    changes = (
        'refine={"background_threshold": 0.3}',
        'segment={"training":{"iterations":700},"inference":{"flip":true}}',
    )
    result = snakemake(tmp_path, "--dry-run", "--printshellcmds", "--config", *changes, config=config)
    assert result.returncode == 0, result.stdout
    for passed in ('"background_threshold":0.3,', '"iterations":700,', '"flip":true,', '"learning_rate":0.0005,'):
        assert passed in result.stdout


def test_a_config_replaces_the_default_one(snakemake: Snakemake, tmp_path: Path) -> None:
    (tmp_path / "datasets/custom").mkdir(parents=True)
    result = snakemake(tmp_path, "--dry-run", "--printshellcmds", config=REPOSITORY / "configs/custom.yaml")
    assert result.returncode == 0, result.stdout
    assert yaml.safe_load(DEMO.read_text())["segment"]["training"]["class_weights"] != {}
    assert '"class_weights":{}' in result.stdout  # left out there, so the model's default, not the demo's


def test_the_public_configs_fetch_all_weights_where_they_are_told_so(snakemake: Snakemake, tmp_path: Path) -> None:
    """The way back that configs/voc12.yaml names, for those without a file of ResNet38."""
    list_voc(tmp_path)
    (tmp_path / "datasets/res38_cls.pth").unlink()
    text = (REPOSITORY / "configs/voc12.yaml").read_text()
    text = text.replace("backbone: resnet38\n", "backbone: resnet101\n").replace("deeplabv1_mctformer", "deeplabv3plus")
    (tmp_path / "fetched.yaml").write_text(text.replace("    frozen_stages: 1", "    frozen_stages: 0"))
    result = snakemake(tmp_path, "--dry-run", config=tmp_path / "fetched.yaml")
    assert result.returncode == 0, result.stdout
    assert jobs_of(result.stdout)["load_weights"] == 2


def test_captions_and_no_context_are_planned(snakemake: Snakemake, tmp_path: Path) -> None:
    config = changed(DEMO, tmp_path, "image_contrastive", "caption_l1")
    result = snakemake(tmp_path, "--dry-run", "--printshellcmds", config=config)
    assert "--source caption" in result.stdout
    config = changed(DEMO, tmp_path, "image_contrastive", "none")
    assert "embed_images" not in jobs_of(snakemake(tmp_path, "--dry-run", config=config).stdout)


def test_seeds_of_the_segmenter_are_planned_beside_the_experiments_own(snakemake: Snakemake, tmp_path: Path) -> None:
    jobs = jobs_of(snakemake(tmp_path, "--dry-run", "compare_segmenters", config=DEMO).stdout)
    assert jobs["train_segmenter"] == 3 * 3  # on true masks and in two rounds; seed 0 is the experiment's own
    # Val and test of nine segmenters, and train, told the tags, of the six not on true masks.
    assert jobs["predict"] == 9 * 2 + 6
    assert jobs["score_masks"] == 9 * 2 + 6 + 1


def test_seeds_of_refiners_have_their_own_localizers_networks_and_thresholds(
    snakemake: Snakemake, tmp_path: Path
) -> None:
    config = changed(DEMO, tmp_path, "refiner_seeds: [0, 1, 2]", "refiner_seeds: [0, 4]")
    jobs = jobs_of(snakemake(tmp_path, "--dry-run", "compare_refiners", config=config).stdout)
    assert (jobs["train_localizer"], jobs["train_affinity"], jobs["choose_threshold"]) == (2, 2, 2)
    assert jobs["make_sure_regions"] == 2
    assert jobs["make_masks"] == 2 * 8
    assert jobs["score_masks"] == 2 * 8


def test_classes_and_synonyms_may_have_braces(snakemake: Snakemake, tmp_path: Path) -> None:
    """Snakemake takes `{name}` in a text for a wildcard."""
    text = TINY.read_text().replace("classes: [red disc,", 'classes: ["red {disc}",')
    text = text.replace("red disc: [red disc, red ball]", '"red {disc}": ["red {0} {ball}"]')
    config = tmp_path / "braces.yaml"
    config.write_text(text)
    write_planned_inputs(tmp_path)
    result = snakemake(tmp_path, "--dry-run", "--printshellcmds", config=config)
    assert result.returncode == 0, result.stdout
    assert "red {disc}" in result.stdout
    assert "red {0} {ball}" in result.stdout


def write_planned_inputs(folder: Path) -> None:
    """As much of the tiny experiment as planning looks at."""
    (folder / "set").mkdir()
    for split in ("train", "val", "test"):
        (folder / f"set/{split}.csv").touch()
    (folder / "weights").mkdir()
    for name in ("cnn", "clip"):
        (folder / f"weights/{name}.safetensors").touch()
