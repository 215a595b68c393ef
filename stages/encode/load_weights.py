"""Writes the weights of one timm backbone as safetensors."""

from typing import Annotated

from pydantic import Field, TypeAdapter

from stages.encode.weights import load_weights
from stages.networks.checked import check_backbone
from stages.runtime.command import main, parse_settings, parser
from stages.settings import CnnBackbone, EncodeSettings, FrozenBackbone, HybridBackbone, TowerBackbone, VitBackbone
from stages.tensors import write_tensors

Backbone = Annotated[
    VitBackbone | HybridBackbone | CnnBackbone | FrozenBackbone | TowerBackbone, Field(discriminator="kind")
]
BACKBONES = TypeAdapter(list[Backbone])


def run(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, outputs=("output",))
    options.add_argument("--model", required=True, help="timm model name, a key of encode.weights")
    options.add_argument("--backbones", default="[]", help="settings of the backbones with it, a JSON list")
    args = options.parse_args(arguments)
    # Before any download, and so before any embedding or training.
    for backbone in BACKBONES.validate_json(args.backbones):
        check_backbone(backbone)
    settings = parse_settings(EncodeSettings, args.settings)
    state = load_weights(args.model, settings.weights[args.model])
    cure = f"the weights from {settings.weights[args.model]} are damaged, or of a training that failed; give others"
    write_tensors(args.output, state, cure=cure, metadata={"model": args.model})


if __name__ == "__main__":
    main(run)
