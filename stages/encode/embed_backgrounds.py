"""Writes the text embeddings of what photos show besides the classes, from the classes' own templates."""

import json
from pathlib import Path

from stages.encode.clip import BROKEN, load_clip, text_embeddings
from stages.runtime.command import main, parse_settings, parser
from stages.settings import EncodeSettings
from stages.tensors import write_tensors


def run(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, outputs=("output",))
    options.add_argument("--clip", type=Path, help="projections written by train_clip")
    options.add_argument("--weights", type=Path, help="weights of the image tower")
    args = options.parse_args(arguments)
    settings = parse_settings(EncodeSettings, args.settings)
    clip = load_clip(settings, projections=args.clip, weights=args.weights)
    embeddings = text_embeddings(clip, settings.backgrounds, templates=settings.templates, synonyms={})
    described = {"described": json.dumps({"background_texts": settings.backgrounds})}
    write_tensors(args.output, {"backgrounds": embeddings}, cure=BROKEN, metadata=described)


if __name__ == "__main__":
    main(run)
