"""MiT, the backbones of SegFormer (Xie et al., NeurIPS 2021), built and with weights named as in mmsegmentation."""

from typing import Any

# name -> (width of the first stage, transformer layers of the four stages); table 6 of the paper.
VARIANTS = {
    "mit_b0": (32, (2, 2, 2, 2)),
    "mit_b1": (64, (2, 2, 2, 2)),
    "mit_b2": (64, (3, 4, 6, 3)),
    "mit_b3": (64, (3, 4, 18, 3)),
    "mit_b4": (64, (3, 8, 27, 3)),
    "mit_b5": (64, (3, 6, 40, 3)),
}
HEADS = (1, 2, 5, 8)
STRIDES = (4, 8, 16, 32)


def mit_options(name: str) -> dict[str, Any]:
    """The arguments of mmsegmentation's MixVisionTransformer for one of VARIANTS."""
    width, layers = VARIANTS[name]
    return {"embed_dims": width, "num_layers": list(layers), "num_heads": list(HEADS), "drop_path_rate": 0.1}


def mit_channels(name: str) -> tuple[int, ...]:
    """Channels of its four feature maps, of the strides 4, 8, 16 and 32."""
    return tuple(VARIANTS[name][0] * heads for heads in HEADS)
