"""Trains the localizer from image tags; resumes from its work folder after an interruption."""

import logging
from collections.abc import Collection
from pathlib import Path

from mmengine.runner import set_random_seed
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from stages.errors import DataError
from stages.index import Record, read_classes, read_index
from stages.localize.checkpoint import build_localizer, save_localizer
from stages.localize.frozen import read_features
from stages.localize.localizer import Localizer
from stages.localize.objective import LocalizerObjective
from stages.localize.training import train_localizer
from stages.localize.views import FeatureViews, ImageViews, embeddings_of, multi_hot, training_transform
from stages.negatives import add_negatives, learned, negatives_line
from stages.runtime.command import main, parse_settings
from stages.runtime.launch import is_first_rank, relaunch
from stages.settings import LocalizeSettings
from stages.tensors import read_tensors
from stages.training import fingerprint_of, resumes_in, training_parser, write_curves

log = logging.getLogger(__name__)


def run(arguments: list[str] | None = None) -> None:
    options = training_parser(__doc__, "index", "root", "classes", "weights", "text")
    options.add_argument("--images", type=Path, help="frozen image or caption embeddings, for the language context")
    options.add_argument("--backgrounds", type=Path, help="embeddings of background texts, which clip_es compares with")
    options.add_argument("--features", type=Path, help="frozen features of the images' crops, in place of the images")
    options.add_argument("--proxy", type=Path, help="weights of the frozen network beside CLIP (attention: proxy)")
    options.add_argument("--gpus", type=int, default=1, help="GPUs over which a step's batch is spread")
    add_negatives(options)
    args = options.parse_args(arguments)
    settings = parse_settings(LocalizeSettings, args.settings)
    if relaunch("stages.localize.train", args.gpus, arguments):
        return
    records, classes = training_records(args.index, args.negatives), read_classes(args.classes)
    files = [args.index, args.classes, args.weights, args.text]
    files += [path for path in (args.images, args.backgrounds, args.proxy) if path]
    resume = resumes_in(
        args.work,
        lambda: (
            fingerprint_of(settings, seed=args.seed, code=args.code, files=files)
            | {"negatives": " ".join(args.negatives)}
        ),
    )

    set_random_seed(args.seed)
    text = read_tensors(args.text, stage="encode")["text"]
    localizer = build_localizer(
        settings, weights=args.weights, text=text, backgrounds=args.backgrounds, proxy=args.proxy
    )
    if localizer.trained:
        dataset = training_views(args, settings, localizer, records, classes)
        if not resume:
            localizer.start(first_batch(dataset, settings.training.batch_size))
        objective = LocalizerObjective(localizer)
        train_localizer(objective, dataset, settings.training, seed=args.seed, work=args.work, resume=resume)
    if is_first_rank():
        write_curves(args.curves, args.work)
        save_localizer(args.output, localizer, classes)


def first_batch(dataset: Dataset, size: int) -> Tensor | list[Tensor]:
    """Inputs of the first examples, batched as in training."""
    count = min(size, len(dataset))  # type: ignore[arg-type]
    return default_collate([dataset[number] for number in range(count)])["inputs"]


def training_records(index: Path, negatives: Collection[str] = ()) -> list[Record]:
    """The images that the localizer learns from. Raises DataError if none has a tag.

    negatives: splits whose images without tags show none of the classes; those of the others are left out.
    """
    listed = read_index(index)
    records = learned(listed, negatives)
    if not any(record.labels for record in listed):
        raise DataError(
            f"{index}: none of {len(listed)} images has a tag, and the localizer learns from them; add tags"
        )
    if line := negatives_line(records):
        log.info(line)
    if len(records) < len(listed):
        log.info("%d of %d images have no tags; trained without them", len(listed) - len(records), len(listed))
    return records


def training_views(args, settings: LocalizeSettings, localizer: Localizer, records: list[Record], classes) -> Dataset:
    """New crops every epoch, or the frozen features given to the command."""
    labels = multi_hot(records, classes)
    embeddings = embeddings_of(records, read_tensors(args.images, stage="encode") if args.images else {})
    if args.features:
        return FeatureViews(read_features(args.features, images=len(records)), labels=labels, embeddings=embeddings)
    transform = training_transform(settings.training, localizer.statistics)
    return ImageViews(records, args.root, transform=transform, labels=labels, embeddings=embeddings)


if __name__ == "__main__":
    main(run, stored=("output", "curves"))
