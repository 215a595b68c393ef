"""Writes the weights of one timm backbone as safetensors."""

from safetensors.torch import save_file

from stages.encode.weights import load_weights
from stages.files import atomic_path
from stages.runtime.command import main, parse_settings, parser
from stages.settings import EncodeSettings


def run(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, outputs=("output",))
    options.add_argument("--model", required=True, help="timm model name, a key of encode.weights")
    args = options.parse_args(arguments)
    settings = parse_settings(EncodeSettings, args.settings)
    state = load_weights(args.model, settings.weights[args.model])
    with atomic_path(args.output) as temporary:
        save_file(state, temporary, metadata={"model": args.model})


if __name__ == "__main__":
    main(run)
