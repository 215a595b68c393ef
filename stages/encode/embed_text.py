"""Writes the text embedding of each class, from an ensemble of prompts."""

from pathlib import Path

from stages.encode.clip import BROKEN, load_clip, text_embeddings
from stages.index import read_classes
from stages.runtime.command import main, parse_settings, parser
from stages.settings import EncodeSettings
from stages.tensors import write_tensors


def run(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, "classes", outputs=("output",))
    options.add_argument("--clip", type=Path, help="projections written by train_clip")
    options.add_argument("--weights", type=Path, help="weights of the image tower")
    args = options.parse_args(arguments)
    settings = parse_settings(EncodeSettings, args.settings)
    clip = load_clip(settings, projections=args.clip, weights=args.weights)
    embeddings = text_embeddings(
        clip, read_classes(args.classes), templates=settings.templates, synonyms=settings.synonyms
    )
    write_tensors(args.output, {"text": embeddings}, cure=BROKEN)


if __name__ == "__main__":
    main(run, stored=("output",))
