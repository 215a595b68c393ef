"""The localizers by `localize.method.kind`."""

from collections.abc import Mapping
from types import MappingProxyType

from stages.localize.cam import Cam
from stages.localize.clip_similarity import ClipSimilarity
from stages.localize.localizer import Localizer
from stages.localize.mctformer import Mctformer
from stages.localize.mmcst import Mmcst
from stages.localize.ts_cam import TsCam

LOCALIZERS: Mapping[str, type[Localizer]] = MappingProxyType(
    {
        "mmcst": Mmcst,
        "cam": Cam,
        "ts_cam": TsCam,
        "mctformer": Mctformer,
        "clip": ClipSimilarity,
    }
)
