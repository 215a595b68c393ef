"""Model cards: describe a trained localizer or segmenter from the provenance and scores of its experiment."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from stages.errors import DataError
from stages.evaluate.scores import Score
from stages.evaluate.wsol_score import LocalizationScore
from stages.experiment import read_experiment
from stages.files import read_json
from stages.language import language_of
from stages.methods import SEGMENTER_METHODS, MethodRecord, localizer_record
from stages.program import clone
from stages.report.score_rows import score_rows
from stages.report.templates import render
from stages.segment.rounds import segmenter_file
from stages.settings import ClipSettings, Experiment, LocalizeSettings, RefineSettings

LOCALIZER = "localize/localizer.safetensors"


@dataclass(frozen=True)
class Origin:
    """What a card needs from a provenance.

    images: per split.  checksums: SHA-256 of each output, by its path below the results.  version: of tagmask, None if
    it is not installed as a package.  commit, changed_files: None if tagmask is not a git checkout.  mended: masks of
    train mended by hand.
    """

    experiment: Experiment
    images: Mapping[str, int]
    checksums: Mapping[str, str]
    version: str | None
    commit: str | None
    changed_files: int | None
    mended: int = 0


def read_origin(path: Path) -> Origin:
    """Reads a provenance.json. Raises DataError when it is missing or lacks what a card needs."""
    content = read_json(path)
    try:
        return Origin(
            experiment=read_experiment(content["settings"], source=str(path)),
            images={split: known["images"] for split, known in content["splits"].items()},
            checksums=content["outputs_sha256"],
            version=content["versions"].get("tagmask"),
            commit=content["program"]["commit"],
            changed_files=content["program"]["changed_files"],
            mended=content.get("mended", {"masks": 0})["masks"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: no whole provenance ({error!r}); delete it and run again") from error


def localizer_card(
    origin: Origin, scores: Sequence[Score], localization: Sequence[LocalizationScore], results: Path
) -> str:
    """The card of the localizer, as Markdown. scores: the experiment's; those of its maps are shown."""
    experiment = origin.experiment
    settings, record = experiment.localize, record_of(experiment.localize)
    facts = {"method": method_words(record)}
    sources: dict[str, str] = {}
    if record.trained:
        sources = weights_of(experiment, settings.backbone.model)
        facts["image encoder"] = f"`{settings.backbone.kind}` of `{settings.backbone.model}`"
        facts["trained on"] = f"{images_of(origin, settings.splits)}: their tags alone, no masks"
    else:
        facts["trained on"] = "nothing: it uses a text-image model as is"
    if network := settings.method.frozen_network:
        sources |= weights_of(experiment, network.model)
        facts["frozen network beside it"] = f"`{network.model}`"
    facts["text-image model"] = language_of(experiment.encode, experiment.localize)
    # If the method trains nothing, the settings of the encoder and its training are unused.
    used = ("method", "backbone", "training", "maps") if record.trained else ("method", "maps")
    return _card(
        origin,
        title="localizer",
        weights=LOCALIZER,
        facts=facts,
        rows=score_rows([score for score in scores if score.stage == "maps"], record),
        localization=localization,
        settings=yaml_of({"localize": {name: getattr(settings, name) for name in used}}),
        command=f"python -m stages.localize.show --image PHOTO --results {results}",
        use="It draws the maps of a photo, and needs an installed tagmask.",
        records=[record],
        sources=sources,
    )


def segmenter_card(origin: Origin, scores: Sequence[Score], results: Path) -> str:
    """The card of the segmenter, as Markdown. scores: the experiment's; its own and its pseudo masks' are shown."""
    experiment = origin.experiment
    settings, localizer = experiment.segment, record_of(experiment.localize)
    record = SEGMENTER_METHODS.get(settings.network.model)
    weights = segmenter_file(settings.rounds)
    by_hand = f"; {origin.mended:,} of these masks were mended by hand" if origin.mended else ""
    facts = {
        "network": method_words(record) if record else f"`{settings.network.model}`, the user's own overlay",
        "backbone": f"`{settings.network.backbone}`",
        "trained on": f"{images_of(origin, ('train',))} with {masks_words(settings.rounds, localizer.title)}{by_hand}",
        "background of the pseudo masks": background_words(experiment.refine),
        "text-image model behind the maps": language_of(experiment.encode, experiment.localize),
    }
    shown = ("network", "training", "inference", *(["rounds"] if settings.rounds > 1 else []))
    return _card(
        origin,
        title="segmenter",
        weights=weights,
        facts=facts,
        rows=score_rows([score for score in scores if score.stage in ("pseudo_masks", "segmenter")], localizer),
        localization=(),
        settings=yaml_of(
            {
                "refine": experiment.refine,
                "segment": {name: getattr(settings, name) for name in shown},
            }
        ),
        command=f"python -m stages.segment.predict --images PHOTOS --output MASKS --segmenter {results / weights}"
        " --config CONFIG",
        use="PHOTOS is a folder of photos, and CONFIG the config of this experiment, which names scales and CRF of the"
        " prediction. It needs an installed tagmask.",
        records=[record] if record else [],
        sources=weights_of(experiment, settings.network.backbone),
    )


def _card(origin: Origin, *, title: str, weights: str, records: Sequence[MethodRecord], **values: Any) -> str:
    card = render(
        "card.md.j2",
        experiment=origin.experiment.experiment,
        seed=origin.experiment.seed,
        classes=origin.experiment.data.classes,
        format=origin.experiment.data.format,
        title=title,
        weights=weights,
        checksum=origin.checksums.get(weights),
        records=records,
        program=program_words(origin),
        licence=own_licence(clone()),
        **values,
    )
    return f"{card}\n"


def record_of(localize: LocalizeSettings) -> MethodRecord:
    """The record of a localizer; of `clip`, that of its attention."""
    method = localize.method
    return localizer_record(method.kind, method.attention if isinstance(method, ClipSettings) else None)


def method_words(record: MethodRecord) -> str:
    """A method with its papers."""
    papers = "; ".join(f"{own.authors}, *{own.title}*, {own.venue} {own.year}" for own in record.papers)
    return f"{record.title} ({papers})"


def masks_words(rounds: int, localizer: str) -> str:
    """The masks that the segmenter of the last round was trained on."""
    pseudo = f"pseudo masks, made from their tags and the maps of {localizer}"
    if rounds == 1:
        return pseudo
    earlier = f"the segmenter of round {rounds - 1}, told their tags, gave them"
    return f"masks that {earlier} (the first learned from {pseudo})"


def images_of(origin: Origin, splits: Sequence[str]) -> str:
    """The images of splits, counted: `600 images of train`. Raises DataError for a split that was not counted."""
    missing = [split for split in splits if split not in origin.images]
    if missing:
        raise DataError(f"the provenance counts no images of {missing[0]}; delete provenance.json and run again")
    return " and ".join(f"{origin.images[split]:,} images of {split}" for split in splits)


def background_words(refine: RefineSettings) -> str:
    """How the background of the pseudo masks was chosen."""
    if refine.background == "power":
        return f"(1 - the best map) to the power of {refine.background_power:g}"
    if isinstance(refine.background_threshold, float):
        return f"the threshold {refine.background_threshold:g}, given in the config"
    chosen = {"auto": "without true masks", "oracle": "with true masks"}
    return f"a threshold chosen {chosen[str(refine.background_threshold)]}"


def weights_of(experiment: Experiment, model: str) -> dict[str, str]:
    """Where the pretrained weights of a model came from, by model name."""
    return {model: experiment.encode.weights[model]} if model in experiment.encode.weights else {}


def yaml_of(sections: Mapping[str, Any]) -> str:
    """Settings as written in a config."""
    return yaml.safe_dump(_plain(sections), sort_keys=False, allow_unicode=True, width=100).rstrip()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return {name: _plain(own) for name, own in value.items()} if isinstance(value, Mapping) else value


def program_words(origin: Origin) -> str:
    """The version and commit of the tagmask that made it, as far as known."""
    words = "tagmask" if origin.version is None else f"tagmask {origin.version}"
    if origin.commit is None:
        return f"{words}, at no known commit"
    changed = f", with {origin.changed_files} files changed" if origin.changed_files else ""
    return f"{words}, commit {origin.commit}{changed}"


def own_licence(program: Path | None) -> str | None:
    """The licence of tagmask, from the project in the folder `program` or from the installed package."""
    if program is not None and (program / "pyproject.toml").is_file():
        project = tomllib.loads((program / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
        return project.get("license")
    try:
        licence = metadata.metadata("tagmask").json.get("license_expression")
    except metadata.PackageNotFoundError:
        return None
    return None if licence is None else str(licence)
