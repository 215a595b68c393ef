"""Converts public ResNet38 weights (MXNet's .params, or a .pth) to the safetensors that `encode.weights` names."""

import argparse
from pathlib import Path

from stages.encode.resnet38_weights import read_resnet38
from stages.runtime.command import main, output_path
from stages.tensors import write_tensors


def run(arguments: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--input", type=Path, required=True, help="ilsvrc-cls_rna-a1_cls1000_ep-0001.params, or .pth")
    options.add_argument("--output", type=output_path, required=True, help="safetensors file to write")
    args = options.parse_args(arguments)
    state = read_resnet38(args.input)
    write_tensors(args.output, state, cure=f"{args.input} is damaged; download it again")


if __name__ == "__main__":
    main(run)
