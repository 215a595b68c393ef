"""What the page shows, as the text and numbers that its template prints."""

import base64
import io
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

from stages.data.left_out import LeftOut
from stages.evaluate.scores import Score
from stages.evaluate.summarize import share_of_bound
from stages.evaluate.table_formats import language_note
from stages.evaluate.wsol_score import LocalizationScore
from stages.map_colours import css_scale, overlay
from stages.methods import MMCST, localizer_record
from stages.report.charts import class_chart, confusion_chart, curve_chart, pick_curves, threshold_chart
from stages.report.gather import Curve
from stages.report.panels import Panel, colour_mask, colour_of
from stages.report.published import TABLES, published_of_single_label
from stages.report.score_rows import score_rows, stage_words
from stages.report.shown_tables import MadeTable
from stages.report.templates import render
from stages.report.timings import Timing, sum_by_stage
from stages.vocabulary import SplitName, StageName
from stages.words import STAGE_WORDS

HEADLINES: tuple[tuple[StageName, SplitName], ...] = (
    ("maps", "val"),
    ("pseudo_masks", "val"),
    ("segmenter", "val"),
    ("segmenter", "test"),
)
LONGEST_SIDE = 320  # of a picture in the page, pixels
LEFT_OUT_SHOWN = 20  # images of a split that the page lists; the table has them all
PACKAGES = (
    *("torch", "torchvision", "timm", "open_clip_torch", "onedl-mmengine", "onedl-mmcv", "onedl-mmsegmentation"),
    *("transformers", "numpy", "pillow", "scipy", "snakemake"),
)


def classification_rows(scores: Sequence[Score]) -> list[dict[str, str]]:
    """How well the localizer finds the tags of each split whose maps were scored, if it predicts tags."""
    found = [(score.split, score.classification) for score in scores if score.classification]
    return [
        {
            "split": split,
            "map": f"{own.map:.1f}",
            "f1": f"{own.f1:.1f}",
            "threshold": f"{own.threshold:g}",
            "images": str(own.images),
        }
        for split, own in found
    ]


def headline_figures(scores: Sequence[Score]) -> list[dict[str, str]]:
    """The few numbers at the top: maps and pseudo masks on val, the segmenter on val and test."""
    figures = []
    for stage, split in HEADLINES:
        for score in scores:
            if (score.stage, score.split) == (stage, split):
                share = share_of_bound(score, scores)
                best = "best threshold, " if score.threshold_source == "oracle" else ""
                note = f"{best}{score.images} images"
                if share is not None:
                    note = f"{share:.0f} % of the upper bound"
                label = f"{stage_words(score)}, {split}"
                figures.append({"label": label, "value": f"{score.miou:.1f}", "note": note})
    return figures


# A word in the names of training curves -> what their chart shows, and how to read it.
CURVES = {
    "loss": ("loss", ""),
    "lr": ("learning rate", ""),
    "entropy": (
        "entropy of the visual context's attention",
        "As a share of that of a uniform attention: at 1 the context of every class is the mean patch.",
    ),
}


def chart_cards(
    scores: Sequence[Score], localizer: Mapping[str, Curve], segmenter: Mapping[str, Curve]
) -> list[dict[str, Any]]:
    """Threshold curve, losses, learning rates, the context's entropy; empty charts are left out."""
    cards = []
    if any(score.sweep for score in scores):
        note = "Dot: best threshold of the split. Square, dashed line: the threshold that makes the pseudo masks."
        cards.append({"title": "Maps at every threshold", "svg": threshold_chart(scores), "note": note})
    for name, curves in (("localizer", localizer), ("segmenter", segmenter)):
        for word, (kind, note) in CURVES.items():
            picked = pick_curves(curves, word)
            if picked:
                title = f"Training of the {name}: {kind}"
                cards.append({"title": title, "svg": curve_chart(picked, title, label=kind), "note": note})
    return cards


def class_cards(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """A chart of the classes' IoUs for each split, the stages side by side."""
    cards = []
    for split in dict.fromkeys(score.split for score in scores):
        own = {STAGE_WORDS[score.stage]: score.per_class for score in scores if score.split == split}
        names = next(iter(own.values()))
        ious = {name: {stage: rates.get(name) for stage, rates in own.items()} for name in names}
        title = f"Each class, {split}"
        cards.append({"title": title, "svg": class_chart(ious, title)})
    return cards


def timing_rows(timings: Sequence[Timing]) -> list[dict[str, Any]]:
    """Each stage's steps and, if it has several, their sum; then the sum of all."""
    rows = []
    for total in sum_by_stage(timings):
        steps = [timing for timing in timings if timing.stage == total.stage]
        rows += [_timing_row(step, step.stage, is_sum=False) for step in steps]
        if len(steps) > 1:
            rows.append(_timing_row(total, f"{total.stage}, all", is_sum=True))
    for total in sum_by_stage([Timing("", "", t.jobs, t.seconds, t.longest, t.peak_mb) for t in timings]):
        rows.append(_timing_row(total, "all stages", is_sum=True))
    return rows


def panel_cards(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    """The panels, with pictures as data URIs."""
    cards = []
    for panel in panels:
        tiles = [
            ("image", panel.image),
            *((f"map: {name}", overlay(panel.image, scores)) for name, scores in panel.maps.items()),
            ("pseudo mask", colour_mask(panel.pseudo_mask)),
            ("prediction", colour_mask(panel.prediction)),
            *([("truth", colour_mask(panel.truth))] if panel.truth is not None else []),
        ]
        cards.append(
            {
                "id": panel.id,
                "tags": ", ".join(panel.maps) or "none",
                "iou": panel.iou,
                "tiles": [{"caption": caption, "source": data_uri(picture)} for caption, picture in tiles],
            }
        )
    return cards


def legend_entries(panels: Sequence[Panel], classes: Sequence[str]) -> list[dict[str, str]]:
    """Colour and name of each mask value in the panels, background first and ignore last."""
    values = sorted(set().union(*(panel.values() for panel in panels)))
    names = [("background", 0), *((classes[value - 1], value) for value in values), ("ignored", 255)]
    return [{"name": name, "colour": colour_of(value)} for name, value in names]


def data_uri(picture: Image.Image) -> str:
    """A picture as a data URI: indexed ones as PNG, others as JPEG, at most LONGEST_SIDE pixels wide or high."""
    indexed = picture.mode == "P"
    factor = LONGEST_SIDE / max(picture.size)
    if factor < 1:
        size = (round(picture.width * factor), round(picture.height * factor))
        picture = picture.resize(size, Image.Resampling.NEAREST if indexed else Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if indexed:
        picture.save(buffer, "PNG", optimize=True)
    else:
        picture.save(buffer, "JPEG", quality=82)
    kind = "png" if indexed else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def versions_text() -> str:
    """Python, platform and the packages that results depend on, one line each."""
    lines = [f"python {platform.python_version()} on {platform.system()} {platform.machine()}"]
    installed = {distribution.name.lower().replace("_", "-"): distribution for distribution in metadata.distributions()}
    for name in PACKAGES:
        found = installed.get(name.lower().replace("_", "-"))
        lines.append(f"{name} {found.version if found else 'not installed'}")
    return "\n".join(lines)


def render_page(
    *,
    experiment: str,
    classes: Sequence[str],
    scores: Sequence[Score],
    localizer: Mapping[str, Curve],
    segmenter: Mapping[str, Curve],
    timings: Sequence[Timing],
    panels: Sequence[Panel],
    val_images: int,
    config: Mapping[str, Any],
    confusions: Mapping[str, NDArray[np.int64]],
    localization: Sequence[LocalizationScore] = (),
    mended: int = 0,
    left_out: Mapping[str, Sequence[LeftOut]] | None = None,
    negatives: Mapping[str, tuple[int, int]] | None = None,
    tables: Sequence[MadeTable] = (),
) -> str:
    """The whole page as self-contained HTML. confusions: title -> pixel counts [1 + C, 1 + C]; mended: masks mended by
    hand; left_out: by split; negatives: by split, the number of images that show none of the classes, and of all."""
    class_names = ("background", *classes)
    chosen = config.get("localize", {}).get("method", {})
    method = localizer_record(chosen.get("kind", MMCST.kind), chosen.get("attention"))
    return render(
        "page.html.j2",
        experiment=experiment,
        classes=classes,
        scores=scores,
        seed=config.get("seed", scores[0].seed if scores else 0),
        localization=localization,
        mended=mended,
        left_out={split: rows for split, rows in (left_out or {}).items() if rows},
        left_out_shown=LEFT_OUT_SHOWN,
        negatives=negatives or {},
        made_tables=tables,
        class_charts=class_cards(scores),
        figures=headline_figures(scores),
        rows=score_rows(scores, method),
        method=method.title,
        published_of_single_label=published_of_single_label(method),
        language=language_note(scores),
        classification=classification_rows(scores),
        has_bound=any(score.stage == "upper_bound" for score in scores),
        is_demo=config.get("data", {}).get("format") == "demo",
        published=TABLES,
        class_names=class_names,
        colours={name: colour_of(value) for value, name in enumerate(class_names)},
        charts=chart_cards(scores, localizer, segmenter),
        confusions=[
            {"title": title, "svg": confusion_chart(confusion, class_names, title=title)}
            for title, confusion in confusions.items()
        ],
        panels=panel_cards(panels),
        val_images=val_images,
        doubted=config.get("evaluate", {}).get("doubt", ()),
        legend=legend_entries(panels, classes),
        map_scale=css_scale(),
        timings=timing_rows(timings),
        settings=yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=100) if config else "",
        versions=versions_text(),
    )


def _timing_row(timing: Timing, stage: str, *, is_sum: bool) -> dict[str, Any]:
    return {
        "stage": stage,
        "step": timing.step,
        "jobs": timing.jobs,
        "seconds": _clock(timing.seconds),
        "longest": _clock(timing.longest),
        "speed": "" if timing.images_per_second is None else f"{timing.images_per_second:.1f}",
        "peak": "" if timing.peak_mb is None else f"{timing.peak_mb / 1024:.2f} GiB",
        "is_sum": is_sum,
    }


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
