"""Charts as inline SVG in the page's text colour, so that they work in light and dark mode."""

import io
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stages.evaluate.confusion_picture import confusion_figure, plain
from stages.evaluate.scores import Score
from stages.report.gather import Curve
from stages.words import SOURCE_LEGEND

# Matplotlib has no "colour of the surrounding text": text is drawn in this colour, which is replaced in the SVG.
TEXT = "#010203"
COLOURS = ("#3b82f6", "#f59e0b", "#10b981", "#ef4444", "#a855f7", "#06b6d4", "#84cc16", "#ec4899")
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": TEXT,
    "grid.alpha": 0.15,
    "legend.frameon": False,
}


def threshold_chart(scores: Sequence[Score]) -> Markup:
    """mIoU of maps over the background threshold: a line per split, its best marked, the fixed threshold dashed."""
    swept = [score for score in scores if score.sweep]
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": "thresholds"}):
        figure, axes = _axes("background threshold", "mIoU of the maps, %")
        for score, colour in zip(swept, COLOURS, strict=False):
            thresholds, mious = zip(*(score.sweep or ()), strict=True)
            best = thresholds[mious.index(max(mious))]
            axes.plot(thresholds, mious, color=colour, label=f"{score.split}: best {max(mious):.1f} at {best:.2f}")
            axes.plot(best, max(mious), "o", color=colour)
            if score.fixed:
                axes.plot(score.fixed.threshold, score.fixed.miou, "s", color=colour, markersize=5)
        used = sorted({(score.fixed.threshold, score.fixed.source) for score in swept if score.fixed})
        for threshold, source in used:
            axes.axvline(
                threshold, color=TEXT, linestyle="--", linewidth=1, label=f"{SOURCE_LEGEND[source]}: {threshold:g}"
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(bottom=0)
        axes.legend()
        return _svg(figure, "mIoU of the maps over the background threshold")


def curve_chart(curves: Mapping[str, Curve], title: str, *, label: str) -> Markup:
    """Training curves over the steps, one line each; `title` names the chart for screen readers and in its file."""
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": title}):
        figure, axes = _axes("training step", label)
        for (name, curve), colour in zip(curves.items(), COLOURS, strict=False):
            marker = "o" if len(curve.steps) == 1 else None
            axes.plot(curve.steps, curve.values, color=colour, label=name, linewidth=1.3, marker=marker)
        axes.legend(fontsize=9)
        return _svg(figure, title)


def confusion_chart(confusion: NDArray[np.int64], labels: Sequence[str], *, title: str) -> Markup:
    """The confusion matrix as a heat map: percent of a true class's pixels (row) predicted as each class (column)."""
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": title, "axes.grid": False}):
        return _svg(confusion_figure(confusion, labels, title=""), title)


def bar_chart(bars: Sequence[tuple[str, Sequence[float]]], *, label: str) -> Markup:
    """A bar per row, first on top: the mean of its values, one deviation either side, and the values as dots."""
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": "bars", "axes.grid.axis": "x"}):
        figure = Figure(figsize=(5.4, 0.7 + 0.42 * len(bars)), layout="constrained")
        axes = figure.subplots()
        for position, (_, values) in enumerate(bars):
            deviation = statistics.stdev(values) if len(values) > 1 else 0
            axes.barh(
                position, statistics.fmean(values), xerr=deviation or None, color=COLOURS[0], alpha=0.7, ecolor=TEXT
            )
            axes.plot(values, [position] * len(values), "o", color=COLOURS[1], markersize=4)
        axes.set_yticks(range(len(bars)), [plain(name) for name, _ in bars])
        axes.invert_yaxis()
        axes.set_xlabel(label)
        return _svg(figure, label)


def class_chart(ious: Mapping[str, Mapping[str, float | None]], title: str) -> Markup:
    """IoU of each class (outer keys, first on top) at several stages (inner keys): a bar each, a colour per stage."""
    stages = list(dict.fromkeys(stage for own in ious.values() for stage in own))
    height = 0.8 / max(1, len(stages))
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": title, "axes.grid.axis": "x"}):
        figure = Figure(figsize=(5.4, 0.9 + 0.16 * len(ious) * (len(stages) + 1)), layout="constrained")
        axes = figure.subplots()
        for place, (stage, colour) in enumerate(zip(stages, COLOURS, strict=False)):
            values = [own.get(stage) or 0.0 for own in ious.values()]
            positions = np.arange(len(ious)) + place * height
            axes.barh(positions, values, height=0.9 * height, color=colour, label=stage)
        axes.set_yticks(np.arange(len(ious)) + 0.4 - height / 2, [plain(name) for name in ious])
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel("IoU, %")
        axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        return _svg(figure, title)


def pick_curves(curves: Mapping[str, Curve], *words: str) -> dict[str, Curve]:
    """The curves with one of `words` among the parts of their name (split at `.`, `_`, `/`), at most one per colour.

    Without `base_lr`, which mmengine logs as well and which is the same line as `lr`.
    """
    picked = {
        name: curve
        for name, curve in curves.items()
        if not {*words}.isdisjoint(re.split(r"[._/]", name)) and name != "base_lr"
    }
    return dict(list(picked.items())[: len(COLOURS)])


def _axes(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.4, 3.3), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return figure, axes


def _svg(figure: Figure, title: str) -> Markup:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Title": title})
    text = buffer.getvalue()
    # Without the XML and document type declarations, which are not allowed inside HTML.
    return Markup(text[text.index("<svg") :].replace(TEXT, "currentColor"))
