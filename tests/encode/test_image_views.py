"""Packaged towers that learn from a set's own tagged images: pairs, positives by hand, a small set end to end."""

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file

from stages.encode import train_clip
from stages.encode.clip import load_clip, text_embeddings
from stages.encode.cutout_views import cutout_pairs
from stages.encode.embeddings import image_embeddings
from stages.encode.image_views import CROP_AREA, crop_views, draw_box, image_pairs
from stages.encode.pairs import Pairs, Texts, known_ids, positives
from stages.errors import DataError
from stages.index import Record, write_index
from stages.settings import EncodeSettings

COLOURS = {"red disc": (200, 30, 30), "blue square": (30, 30, 200)}
TEMPLATES = ("a photo of a {}.", "a {}.")


@pytest.fixture
def photographs(tmp_path: Path) -> tuple[Path, list[Record]]:
    """Eight images of one or two coloured shapes. Their masks are named, but there are none: nothing may read them."""
    random, records = np.random.default_rng(0), []
    for number in range(8):
        tags = (tuple(COLOURS), ("red disc",), ("blue square",))[number % 3]
        image = Image.fromarray(random.integers(90, 130, (60, 80, 3), dtype=np.uint8))
        draw = ImageDraw.Draw(image)
        for place, tag in enumerate(tags):
            left = 5 + 38 * place
            (draw.ellipse if tag == "red disc" else draw.rectangle)((left, 10, left + 34, 50), fill=COLOURS[tag])
        image.save(tmp_path / f"{number}.png")
        caption = "A caption." if number == 1 else ""
        records.append(Record(f"{number}", f"{number}.png", f"masks/{number}.png", tags, "train", caption))
    return tmp_path, records


def pairs_of(photographs: tuple[Path, list[Record]], texts: Texts, views: int = 6) -> Pairs:
    root, records = photographs
    synonyms = {"red disc": ("red disc", "red ball")}
    return image_pairs(records, root, texts, templates=TEMPLATES, synonyms=synonyms, views=views, side=32, seed=0)


def test_texts_of_a_view_are_prompts_of_its_tags_or_its_caption(photographs: tuple[Path, list[Record]]) -> None:
    texts = Texts()
    pairs = pairs_of(photographs, texts)
    prompts = {
        "red disc": {"a photo of a red disc.", "a red disc.", "a photo of a red ball.", "a red ball."},
        "blue square": {"a photo of a blue square.", "a blue square."},
    }
    assert len(pairs.texts) == len(pairs.tags) == 8 * 6
    for view, (first, second) in enumerate(pairs.texts):
        record = photographs[1][view // 6]
        own = set().union(*(prompts[tag] for tag in record.labels))
        assert texts.texts[second] in own
        assert texts.texts[first] == "A caption." if record.caption else texts.texts[first] in own
    drawn = {texts.texts[text] for pair in pairs.texts for text in pair}
    assert drawn == {"A caption."}.union(*prompts.values())  # all come up in 96 draws


def test_cutouts_and_own_tags_share_one_id_space() -> None:
    texts = Texts()
    added = [texts.add_caption("A rose."), texts.add_prompt("a rose.", "rose"), texts.add_prompt("a coin.", "coin")]
    added += [texts.add_prompt("a photo of a coin.", "coin"), texts.add_caption("A rose."), texts.add_caption("rose")]
    assert added == [0, 1, 2, 3, 4, 5]
    # A caption that is a class's name is still no prompt of it.
    assert texts.ids == [0, 1, 2, 2, 0, 3]
    assert texts.id_of_class("rose") == 1


def test_positives_by_hand() -> None:
    """A cut-out of a coin, an image of a coin and a rose, one of a rose; the texts drawn: coin, rose, rose."""
    texts = Texts()
    caption, coin = texts.add_caption("A coin."), texts.add_prompt("a coin.", "coin")
    rose = texts.add_prompt("a rose.", "rose")
    pairs = [
        Pairs(iter(()), [(caption, coin)], [()]),
        Pairs(iter(()), [(coin, rose), (rose, rose)], [("coin", "rose"), ("rose",)]),
    ]
    known, ids = known_ids(pairs, texts), torch.tensor(texts.ids)
    found = positives(ids[torch.tensor([coin, rose, rose])], known)
    # The second image shows a coin, whichever of its texts was drawn; of the cut-out the drawn text alone is known.
    assert found.tolist() == [[True, False, False], [True, True, True], [False, True, True]]
    found = positives(ids[torch.tensor([caption, coin, rose])], known)
    assert found.tolist() == [[True, False, False], [False, True, True], [False, False, True]]


def test_crops_are_large_parts_of_the_image_and_equal_for_equal_seeds(photographs: tuple[Path, list[Record]]) -> None:
    root, records = photographs
    random = np.random.default_rng(0)
    areas = []
    for _ in range(200):
        left, top, right, bottom = draw_box((80, 60), random)
        assert 0 <= left < right <= 80
        assert 0 <= top < bottom <= 60
        areas.append((right - left) * (bottom - top) / (80 * 60))
    assert CROP_AREA[0] * 0.75 < min(areas) < 0.5 < 0.9 < max(areas) <= 1
    first, again = (
        [np.asarray(view) for view in crop_views(records[:2], root, views=4, side=32, seed=7)] for _ in range(2)
    )
    assert [view.shape for view in first] == [(32, 32, 3)] * 8
    np.testing.assert_array_equal(first, again)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "cnn.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict(), path)
    return path


def settings_of(*sources: str, epochs: int = 1) -> dict:
    clip = {"kind": "towers", "image_size": 64, "width": 32, "image_views": 4, "views": 2, "batch_size": 16}
    clip |= {"learns_from": sources, "epochs": epochs, "learning_rate": 0.01}
    return {"clip": clip, "templates": TEMPLATES}


def test_towers_learn_a_folders_tags_with_nothing_but_its_images(
    photographs: tuple[Path, list[Record]], weights: Path
) -> None:
    """Even under a CNN of random weights: images of one tag are nearest to its text. There is neither a cut-out nor a
    mask to be read."""
    root, records = photographs
    write_index(root / "train.csv", records)
    settings = settings_of("images", epochs=40)
    words = ["--settings", json.dumps(settings), "--seed", "0", "--index", str(root / "train.csv")]
    words += ["--root", str(root), "--weights", str(weights)]
    train_clip.run([*words, "--output", str(root / "clip.safetensors")])
    clip = load_clip(EncodeSettings.model_validate(settings), projections=root / "clip.safetensors", weights=weights)
    texts = text_embeddings(clip, list(COLOURS), templates=TEMPLATES, synonyms={})
    single = [record for record in records if len(record.labels) == 1]
    images = image_embeddings(clip, single, root, batch_size=8, device=torch.device("cpu"))
    nearest = [list(COLOURS)[int((texts @ images[record.id]).argmax())] for record in single]
    assert nearest == [record.labels[0] for record in single]
    train_clip.run([*words, "--output", str(root / "again.safetensors")])
    again = load_file(root / "again.safetensors")
    assert all(torch.equal(value, again[name]) for name, value in load_file(root / "clip.safetensors").items())


def test_both_sources_are_learned_from_together(photographs: tuple[Path, list[Record]], tmp_path: Path) -> None:
    cutouts = tmp_path / "material"
    (cutouts / "Cutouts/train").mkdir(parents=True)
    (cutouts / "Backgrounds/train").mkdir(parents=True)
    Image.new("RGB", (90, 70)).save(cutouts / "Backgrounds/train/0.jpg")
    Image.new("RGBA", (40, 30), "red").save(cutouts / "Cutouts/train/0.png")
    (cutouts / "Cutouts/train.csv").write_text("image,class,caption\nCutouts/train/0.png,red disc,A disc.\n")
    texts = Texts()
    pairs = [cutout_pairs(cutouts, texts, templates=TEMPLATES, views=3, side=32, seed=0), pairs_of(photographs, texts)]
    assert [len(list(source.views)) for source in pairs] == [len(source.texts) for source in pairs] == [3, 48]
    known = known_ids(pairs, texts)
    assert known[:3].sum() == 0
    assert known[3:, texts.id_of_class("red disc")].sum() == 6 * 6  # six of eight images show one
    assert texts.ids[pairs[0].texts[0][1]] == texts.id_of_class("red disc")


def test_images_without_tags_are_told(photographs: tuple[Path, list[Record]], weights: Path) -> None:
    root, _ = photographs
    write_index(root / "train.csv", [Record("0", "0.png", "", (), "train")])
    words = ["--settings", json.dumps(settings_of("images")), "--seed", "0", "--index", str(root / "train.csv")]
    with pytest.raises(DataError, match=r"train.csv: no image has a tag to learn from; set encode.clip.learns_from"):
        train_clip.run([*words, "--root", str(root), "--weights", str(weights), "--output", str(root / "clip")])
