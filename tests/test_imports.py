"""What each command of the workflow imports: every job starts with it, and torch alone takes seconds."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

# The commands by the libraries that their module may import. make_masks and predict_shard import torch where they use
# it, because the processes of their pools import the module too (tests/test_pool.py).
ALLOWED: dict[str, dict[str, set[str]]] = {
    "plain": {
        "": {
            *("data.demo.compose", "data.demo.fetch_packages", "data.demo.prepare_cutouts", "data.draw_sheet"),
            *("data.fetch_dataset", "data.join_indexes", "data.list_classes", "data.make_index", "data.make_truth"),
            *("evaluate.compare_segmenters", "evaluate.join_doubts", "evaluate.list_scored", "evaluate.measure_doubt"),
            "evaluate.score_localization",
            *("evaluate.summarize", "evaluate.write_submission", "evaluate.write_table"),
            *("refine.add_mended", "refine.choose_threshold", "refine.make_masks", "refine.make_sure_regions"),
            "refine.read_mended",
            *("report.write_cards", "report.write_provenance", "segment.predict_shard"),
        },
        "matplotlib": {"evaluate.score_masks", "report.make_gallery", "report.make_page", "report.make_table_page"},
        "sklearn": {"evaluate.score_maps"},
    },
    "networks": {
        "torch torchvision timm": {
            *("encode.load_weights", "localize.freeze_features", "localize.freeze_map_features"),
            *("localize.make_maps", "localize.measure"),
        },
        # mmengine imports transformers.
        "mmengine transformers": {"localize.train", "refine.train_affinity"},
        "open_clip": {
            "encode.embed_backgrounds",
            "encode.embed_images",
            "encode.embed_text",
            "encode.save_image_tower",
            "encode.train_clip",
        },
        "mmcv mmseg": {"segment.resolve_model", "segment.train"},
    },
}
HEAVY = sorted({name for groups in ALLOWED.values() for names in groups for name in names.split()})
# Imports modules one after the other, and prints which of the heavy libraries each brought along.
IMPORT = """
import importlib, json, sys
brought = {}
for module in sys.argv[2].split():
    before = set(sys.modules)
    importlib.import_module(f"stages.{module}")
    brought[module] = [name for name in sys.argv[1].split() if name in set(sys.modules) - before]
print(json.dumps(brought))
"""


def test_every_command_of_the_rules_is_here() -> None:
    rules = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "workflow/rules").glob("*.smk"))
    listed = [command for groups in ALLOWED.values() for commands in groups.values() for command in commands]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(re.findall(r"python -m stages\.([\w.]+)", rules))


@pytest.mark.parametrize("process", ALLOWED)
def test_commands_import_no_more_than_they_need(process: str) -> None:
    """One process imports group after group: each may import the libraries of its own and of those before it."""
    groups = ALLOWED[process]
    order = [command for commands in groups.values() for command in sorted(commands)]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, " ".join(HEAVY), " ".join(order)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    brought = json.loads(done.stdout.splitlines()[-1])
    for libraries, commands in groups.items():
        extra = {command: set(brought[command]) - set(libraries.split()) for command in commands}
        assert {command: names for command, names in extra.items() if names} == {}
        assert set().union(*(brought[command] for command in commands)) == set(libraries.split())
