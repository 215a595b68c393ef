"""Writes the CLIP model's image tower and its description, for localizers that compare patches with class texts."""

import json
from pathlib import Path

from stages.encode.clip import BROKEN, load_clip
from stages.runtime.command import main, parse_settings, parser
from stages.settings import EncodeSettings
from stages.tensors import write_tensors


def run(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, outputs=("output",))
    options.add_argument("--clip", type=Path, help="projections written by train_clip")
    options.add_argument("--weights", type=Path, help="weights of the image tower")
    args = options.parse_args(arguments)
    settings = parse_settings(EncodeSettings, args.settings)
    tower = load_clip(settings, projections=args.clip, weights=args.weights).model.visual
    state = {name: value.contiguous() for name, value in tower.state_dict().items()}
    described = {"described": json.dumps({"tower": settings.clip.model_dump(mode="json")})}
    write_tensors(args.output, state, cure=BROKEN, metadata=described)


if __name__ == "__main__":
    main(run)
