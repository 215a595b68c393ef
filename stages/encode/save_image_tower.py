"""Writes the CLIP model's image tower and its description, for localizers that compare patches with class texts."""

import json
from pathlib import Path

from safetensors.torch import save_file

from stages.encode.clip import load_clip
from stages.files import atomic_path
from stages.runtime.command import main, parse_settings, parser
from stages.settings import EncodeSettings


def run(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, outputs=("output",))
    options.add_argument("--clip", type=Path, help="projections written by train_clip")
    options.add_argument("--weights", type=Path, help="weights of the image tower")
    args = options.parse_args(arguments)
    settings = parse_settings(EncodeSettings, args.settings)
    tower = load_clip(settings, projections=args.clip, weights=args.weights).model.visual
    state = {name: value.contiguous() for name, value in tower.state_dict().items()}
    described = {"described": json.dumps({"tower": settings.clip.model_dump(mode="json")})}
    with atomic_path(args.output) as temporary:
        save_file(state, temporary, metadata=described)


if __name__ == "__main__":
    main(run)
