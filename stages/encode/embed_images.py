"""Writes the frozen embedding of each image of a split, or of its caption."""

from pathlib import Path

from stages.devices import pick_device
from stages.encode.clip import BROKEN, load_clip
from stages.encode.embeddings import caption_embeddings, image_embeddings
from stages.index import read_index, tagged
from stages.runtime.command import main, parse_settings, parser
from stages.settings import EncodeSettings
from stages.tensors import write_tensors


def run(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, "index", "root", outputs=("output",))
    options.add_argument("--source", choices=("image", "caption"), default="image", help="what to embed")
    options.add_argument("--clip", type=Path, help="projections written by train_clip")
    options.add_argument("--weights", type=Path, help="weights of the image tower")
    args = options.parse_args(arguments)
    settings = parse_settings(EncodeSettings, args.settings)
    clip = load_clip(settings, projections=args.clip, weights=args.weights)
    records = tagged(read_index(args.index))  # those that the localizer is trained on
    if args.source == "caption":
        embeddings = caption_embeddings(
            clip, records, source=settings.captions, batch_size=settings.batch_size, device=pick_device()
        )
    else:
        embeddings = image_embeddings(clip, records, args.root, batch_size=settings.batch_size, device=pick_device())
    write_tensors(args.output, embeddings, cure=BROKEN)


if __name__ == "__main__":
    main(run, stored=("output",))
