"""Trains the projections of an open_clip model made of packaged towers, on cut-outs and their captions."""

from safetensors.torch import save_file

from stages.command import main, parse_settings, parser
from stages.devices import pick_device
from stages.encode.clip import build_towers
from stages.encode.projections import train_projections
from stages.errors import SettingsError
from stages.files import atomic_path
from stages.settings import EncodeSettings, TowerClip


def run(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, "root", "weights", "output")
    options.add_argument("--seed", type=int, required=True)
    args = options.parse_args(arguments)
    settings = parse_settings(EncodeSettings, args.settings)
    if not isinstance(settings.clip, TowerClip):
        raise SettingsError(f"encode.clip.kind: {settings.clip.kind!r} has nothing to train; only `towers` has")
    clip = build_towers(settings.clip, args.weights)
    state = train_projections(
        clip, args.root, settings=settings.clip, templates=settings.templates, seed=args.seed, device=pick_device()
    )
    with atomic_path(args.output) as temporary:
        save_file(state, temporary, metadata={"clip": settings.clip.model_dump_json()})


if __name__ == "__main__":
    main(run, stored=("output",))
