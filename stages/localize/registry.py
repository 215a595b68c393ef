"""The localizers by `localize.method.kind`.

A method's module is imported when the method is asked for: `clip` and `clip_es` need open_clip, which no other does.
"""

from typing import Literal, assert_never, get_args

from stages.localize.localizer import Localizer

Kind = Literal["mmcst", "cam", "ts_cam", "mctformer", "clip", "clip_es"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def localizer_class(kind: Kind) -> type[Localizer]:
    """The class of a method."""
    match kind:
        case "mmcst":
            from stages.localize.mmcst import Mmcst

            return Mmcst
        case "cam":
            from stages.localize.cam import Cam

            return Cam
        case "ts_cam":
            from stages.localize.ts_cam import TsCam

            return TsCam
        case "mctformer":
            from stages.localize.mctformer import Mctformer

            return Mctformer
        case "clip":
            from stages.localize.clip_similarity import ClipSimilarity

            return ClipSimilarity
        case "clip_es":
            from stages.localize.clip_es import ClipEs

            return ClipEs
        case _:
            assert_never(kind)
