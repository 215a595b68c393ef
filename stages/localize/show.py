"""Draws a trained localizer's maps of a photo: those of each kind of token, and the combined ones."""

import argparse
import difflib
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from stages.devices import autocast, pick_device
from stages.errors import DataError, SettingsError
from stages.experiment import read_config, read_experiment
from stages.files import atomic_path, read_json, refuse_folder
from stages.finite import check_finite
from stages.images import image_size, read_image
from stages.index import Record
from stages.localize.batches import read_batch
from stages.localize.checkpoint import load_localizer
from stages.localize.inference import BROKEN, locate_batch, scale_to_one
from stages.localize.localizer import Localizer, Located
from stages.localize.picture import LONGEST_SIDE, draw_maps
from stages.runtime.command import main, output_path
from stages.settings import LocalizeSettings, MapSettings

log = logging.getLogger(__name__)

RESULTS = Path("results")
LOCALIZER = "localize/localizer.safetensors"
PROVENANCE = "provenance.json"  # written at the end of a run, with all its settings
COMBINED = "combined"


class EveryKind(Localizer):
    """A localizer that returns all its maps together: each kind's, then the combined ones.

    So inference sums every kind over scales and flips exactly like the combined maps.
    """

    def __init__(self, localizer: Localizer) -> None:
        nn.Module.__init__(self)
        self.localizer = localizer
        self.stride, self.statistics = localizer.stride, localizer.statistics
        self.titles: tuple[str, ...] = ()

    def locate(self, images: Tensor | list[Tensor], settings: MapSettings) -> Located:
        """Maps [B, (kinds + 1) * C, rows, columns], in the order of `titles`."""
        return self._together(self.localizer.locate(images, settings))

    def locate_tagged(
        self, images: Sequence[Tensor | list[Tensor]], settings: MapSettings, tags: Sequence[Tensor]
    ) -> list[Located]:
        """The same of images whose tags are given."""
        return [self._together(own) for own in self.localizer.locate_tagged(images, settings, tags)]

    def _together(self, located: Located) -> Located:
        # A single kind is the same as the combined maps.
        kinds = dict(located.kinds) if len(located.kinds) > 1 else {}
        self.titles = (*kinds, COMBINED)
        return Located(torch.cat((*kinds.values(), located.maps), dim=1), {}, located.scores)


def maps_of_each_kind(
    image: Path, *, localizer: Localizer, settings: MapSettings, device: torch.device, shown: Sequence[int] = ()
) -> tuple[dict[str, Tensor], Tensor]:
    """Maps of all classes by kind, summed over scales and flips, each [C, rows, columns] >= 0, and the probability of
    every class, [C]. Raises DataError when the image cannot be read.

    shown: positions of the classes that the image is known to show, for localizers that ask for its tags.
    """
    # No more detail of a large photo than the picture shows: with many classes its maps would fill the memory.
    settings = settings.model_copy(update={"stride": max(settings.stride, max(image_size(image)) // LONGEST_SIDE)})
    every = EveryKind(localizer).to(device).eval()
    record = Record(image.stem, image.name, "", (), "")
    batch = read_batch([[0]], [record], image.parent, localizer.stride, settings)
    with torch.inference_mode(), autocast(device):
        tags = torch.zeros(1, localizer.classes, dtype=torch.bool)
        tags[0, list(shown)] = True
        totals, scores = locate_batch(batch, every, settings, device, tags=tags)
    check_finite(f"{image}: localization maps", {"a map": totals[0], "a probability": scores[0]}, BROKEN)
    kinds = totals[0].float().cpu().chunk(len(every.titles))
    return dict(zip(every.titles, kinds, strict=True)), torch.sigmoid(scores[0].float().cpu())


def named_classes(names: str, classes: Sequence[str]) -> list[int]:
    """Positions of comma-separated class names, in their order. Raises SettingsError for an unknown class, or for
    none."""
    positions: list[int] = []
    wanted = [part.strip() for part in names.split(",") if part.strip()]
    if not wanted:
        raise SettingsError(f"--classes: {names!r} names no class; the localizer knows {', '.join(classes)}")
    for name in dict.fromkeys(wanted):
        if name not in classes:
            nearest = difflib.get_close_matches(name, classes, n=1, cutoff=0)[0]
            raise SettingsError(
                f"--classes: the localizer has no {name!r}; did you mean {nearest!r}? It knows {', '.join(classes)}"
            )
        positions.append(list(classes).index(name))
    return positions


def found_classes(probabilities: Tensor, classes: Sequence[str], *, threshold: float) -> list[int]:
    """Positions of the classes whose probability [C] reaches the threshold, the most likely first. Raises DataError if
    none does."""
    order = probabilities.argsort(descending=True, stable=True).tolist()
    found = [position for position in order if probabilities[position] >= threshold]
    if not found:
        best = ", ".join(f"{classes[position]} {probabilities[position]:.2f}" for position in order[:3])
        raise DataError(
            f"the classifier finds no class with a probability of {threshold:g} or more (the best: {best});"
            " choose what to draw with --classes"
        )
    return found


def find_experiment(results: Path) -> Path:
    """The one experiment in the folder `results` that has a localizer. Raises DataError if there is none, or if several
    have one."""
    found = sorted(path.parents[1] for path in results.glob(f"*/{LOCALIZER}"))
    if not found:
        raise DataError(f"{results}: no experiment has a {LOCALIZER} yet; run the workflow, or name one with --results")
    if len(found) > 1:
        raise DataError(f"several experiments have a localizer; choose one: --results {' | '.join(map(str, found))}")
    return found[0]


def settings_of_maps(config: Path | None, results: Path) -> tuple[LocalizeSettings, tuple[str, ...] | None]:
    """The section `localize` of the config, and its classes; or that section of the run that filled the folder
    `results`. Raises SettingsError if neither says how maps are made; the localizer's file does not."""
    if config is not None:
        experiment = read_config(config)
        return experiment.localize, experiment.data.classes
    provenance = results / PROVENANCE
    if not provenance.is_file():
        raise SettingsError(
            f"{results}: no {PROVENANCE} yet, which says how the experiment makes its maps; name its config with"
            " --config, or let the run end"
        )
    content = read_json(provenance)
    if not isinstance(content, dict) or not isinstance(content.get("settings"), dict):
        raise DataError(f"{provenance}: no whole provenance; name the config with --config")
    log.info("settings of the maps: those of %s", provenance)
    return read_experiment(content["settings"], source=str(provenance)).localize, None


def run(arguments: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--image", type=Path, required=True, help="the photo")
    options.add_argument("--classes", help="classes to draw, joined by commas; default: those found in the photo")
    options.add_argument("--results", type=Path, help="results/<experiment>; default: the only one there is")
    options.add_argument(
        "--config",
        type=Path,
        help="take `localize.maps` and `class_threshold` from this config; default: the experiment's last whole run's",
    )
    options.add_argument("--output", type=output_path, help="the PNG; default: <image>-maps.png in this folder")
    args = options.parse_args(arguments)
    if not args.image.is_file():
        raise DataError(f"--image: {args.image} is no file; name a photograph")
    output = args.output or Path(f"{args.image.stem}-maps.png")
    refuse_folder(output)
    results = args.results or find_experiment(RESULTS)
    settings, expected = settings_of_maps(args.config, results)
    localizer, classes = load_localizer(results / LOCALIZER, settings)
    if expected not in (None, classes):
        raise SettingsError(
            f"--config: the classes of {args.config} are {', '.join(expected)}, but {results / LOCALIZER} knows"
            f" {', '.join(classes)}; name the localizer's own config"
        )
    wanted = None if args.classes is None else named_classes(args.classes, classes)
    photo = read_image(args.image)

    maps, probabilities = maps_of_each_kind(
        args.image, localizer=localizer, settings=settings.maps, device=pick_device(), shown=wanted or ()
    )
    shown = wanted or found_classes(probabilities, classes, threshold=settings.class_threshold)
    picture = draw_maps(
        photo,
        {title: scale_to_one(kind[shown]).numpy() for title, kind in maps.items()},
        [f"{classes[position]}\n{probabilities[position]:.2f}" for position in shown],
    )

    with atomic_path(output) as temporary:
        picture.save(temporary, format="PNG", optimize=True)
    found = ", ".join(f"{classes[position]} {probabilities[position]:.2f}" for position in shown)
    log.info("%s: %s, each with its probability: %s", output, ", ".join(maps), found)


if __name__ == "__main__":
    main(run)
