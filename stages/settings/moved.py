"""Where settings of earlier versions are now, so that an old config gets an error naming the new key."""

from collections.abc import Mapping

_METHOD = (
    *("tokens", "representation", "context", "text_context_weight", "visual_context_weight", "pooling_decay"),
    *("language_context", "language_weight", "temperature"),
)
_NETWORK = ("model", "backbone", "output_stride", "decoder_channels", "frozen_stages", "frozen_norm")
_TRAINING = (
    *("loss", "class_weights", "crop", "scales", "colours", "batch_size", "iterations", "warmup_iterations"),
    *("optimizer", "momentum", "learning_rate", "backbone_rate", "weight_decay", "checkpoint_every", "workers"),
)
_INFERENCE = ("scales", "flip", "fusion", "window", "crf")

# By their dotted paths: the old key, and the new one.
MOVED: Mapping[str, str] = {
    **{f"localize.{name}": f"localize.method.{name}" for name in _METHOD},
    "localize.mctformer": "localize.method` with `kind: mctformer",
    "localize.clip": "localize.method` with `kind: clip",
    **{f"segment.{name}": f"segment.network.{name}" for name in _NETWORK},
    **{f"segment.{name}": f"segment.training.{name}" for name in _TRAINING},
    **{f"segment.test_{name}": f"segment.inference.{name}" for name in _INFERENCE},
}
