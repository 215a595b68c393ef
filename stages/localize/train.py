"""Trains the localization transformer from image tags; resumes from its work folder after a break."""

from pathlib import Path

from mmengine.runner import set_random_seed
from safetensors.torch import load_file

from stages.command import main, parse_settings, parser
from stages.index import read_classes, read_index
from stages.localize.checkpoint import build_localizer, save_localizer
from stages.localize.objective import LocalizerObjective
from stages.localize.training import train_localizer
from stages.localize.views import ImageViews, embeddings_of, multi_hot, training_dataset, training_transform
from stages.settings import LocalizeSettings
from stages.training import fingerprint_of, prepare_work, write_curves


def run(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, "index", "root", "classes", "weights", "text", "work", "curves", "output")
    options.add_argument("--images", type=Path, help="frozen image or caption embeddings, for the language context")
    options.add_argument("--seed", type=int, required=True)
    options.add_argument("--code", default="", help="hash of the source code; another one starts afresh")
    args = options.parse_args(arguments)
    settings = parse_settings(LocalizeSettings, args.settings)
    records, classes = read_index(args.index), read_classes(args.classes)

    files = [args.index, args.classes, args.weights, args.text] + ([args.images] if args.images else [])
    fingerprint = fingerprint_of(settings, seed=args.seed, code=args.code, files=files)
    resume = prepare_work(args.work, fingerprint)

    set_random_seed(args.seed)
    localizer = build_localizer(settings, weights=args.weights, text=load_file(args.text)["text"])
    views = ImageViews(
        records,
        args.root,
        transform=training_transform(settings.training, localizer.encoder.statistics),
        labels=multi_hot(records, classes),
        embeddings=embeddings_of(records, load_file(args.images) if args.images else {}),
    )
    dataset = training_dataset(views, localizer.encoder, settings, folder=args.work, seed=args.seed)
    train_localizer(
        LocalizerObjective(localizer), dataset, settings.training, seed=args.seed, work=args.work, resume=resume
    )
    write_curves(args.curves, args.work)
    save_localizer(args.output, localizer, classes)


if __name__ == "__main__":
    main(run)
