"""A record of each method implemented here: what it is, who published it, and what they report.

tagmask's implementations were written from the papers. `code_licence` is the licence of the authors' own code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

NO_PUBLIC_CODE = "no public code"
# Code exists, but comes without a licence.
NOT_STATED = "licence not stated"
UNKNOWN = "licence unknown"

PublishedTableName = Literal["maps", "segmentation", "single_label"]


@dataclass(frozen=True)
class Paper:
    """Where a method was published."""

    authors: str
    title: str
    venue: str
    year: int


@dataclass(frozen=True)
class PublishedRow:
    """A row of one of the tables in `stages.report.published`: the cells after the method's name."""

    table: PublishedTableName
    cells: tuple[str, ...]


@dataclass(frozen=True)
class MethodRecord:
    """One method.

    kind: its name in the settings.  title: its name in tables.  papers: one per version, oldest first.
    published: the rows that the report shows.  trained: whether it is trained at all.
    """

    kind: str
    title: str
    papers: tuple[Paper, ...]
    code_licence: str
    published: tuple[PublishedRow, ...] = ()
    trained: bool = True


def _by_kind(*records: MethodRecord) -> Mapping[str, MethodRecord]:
    return MappingProxyType({record.kind: record for record in records})


_MCTFORMER = Paper(
    "Xu et al.", "Multi-class Token Transformer for Weakly Supervised Semantic Segmentation", "CVPR", 2022
)

# By `localize.method.kind`. All figures are as given by Xu et al., CVPR 2023.
LOCALIZER_METHODS = _by_kind(
    MethodRecord(
        kind="mmcst",
        title="MMCST",
        papers=(
            Paper(
                "Xu et al.",
                "Learning Multi-modal Class-specific Tokens for Weakly Supervised Dense Object Localization",
                "CVPR",
                2023,
            ),
        ),
        code_licence=NO_PUBLIC_CODE,
        published=(
            PublishedRow("maps", ("ViT-B", "66.3", "40.9")),
            PublishedRow("segmentation", ("ResNet38", "V1", "labels + language", "72.2", "72.2", "45.9")),
            PublishedRow("single_label", ("ViT-B", "57.6", "73.3")),
        ),
    ),
    MethodRecord(
        kind="cam",
        title="CAM",
        papers=(Paper("Zhou et al.", "Learning Deep Features for Discriminative Localization", "CVPR", 2016),),
        code_licence="MIT",
        published=(
            PublishedRow("maps", ("ResNet50", "48.8", "33.5")),
            PublishedRow("single_label", ("ResNet50", "43.0", "58.2")),
        ),
    ),
    MethodRecord(
        kind="ts_cam",
        title="TS-CAM",
        papers=(
            Paper(
                "Gao et al.",
                "TS-CAM: Token Semantic Coupled Attention Map for Weakly Supervised Object Localization",
                "ICCV",
                2021,
            ),
        ),
        code_licence="MIT",
        published=(PublishedRow("maps", ("ViT-S", "41.3", "–")),),
    ),
    MethodRecord(
        kind="mctformer",
        title="MCTformer",
        papers=(
            _MCTFORMER,
            Paper(
                "Xu et al.",
                "MCTformer+: Multi-Class Token Transformer for Weakly Supervised Semantic Segmentation",
                "TPAMI",
                2024,
            ),
        ),
        code_licence=NOT_STATED,
        published=(
            PublishedRow("maps", ("ViT-S", "61.7", "–")),
            PublishedRow("maps", ("ViT-B", "62.3", "–")),
            PublishedRow("segmentation", ("ResNet38", "V1", "labels", "71.9", "71.6", "42.0")),
        ),
    ),
    MethodRecord(
        kind="clip",
        title="MaskCLIP",
        papers=(Paper("Zhou, Loy and Dai", "Extract Free Dense Labels from CLIP", "ECCV", 2022),),
        code_licence=UNKNOWN,
        trained=False,
    ),
)

# By overlay of configs/segment.
SEGMENTER_METHODS = _by_kind(
    MethodRecord(
        kind="deeplabv1",
        title="DeepLabV1",
        papers=(
            Paper(
                "Chen et al.",
                "Semantic Image Segmentation with Deep Convolutional Nets and Fully Connected CRFs",
                "ICLR",
                2015,
            ),
        ),
        code_licence=UNKNOWN,
    ),
    MethodRecord(
        kind="deeplabv1_mctformer",
        title="DeepLabV1 of MCTformer's code",
        papers=(_MCTFORMER,),
        code_licence=NOT_STATED,
    ),
    MethodRecord(
        kind="deeplabv2",
        title="DeepLabV2",
        papers=(
            Paper(
                "Chen et al.",
                "DeepLab: Semantic Image Segmentation with Deep Convolutional Nets, Atrous Convolution, and Fully"
                " Connected CRFs",
                "TPAMI",
                2018,
            ),
        ),
        code_licence=UNKNOWN,
    ),
    MethodRecord(
        kind="deeplabv3plus",
        title="DeepLabV3+",
        papers=(
            Paper(
                "Chen et al.",
                "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation",
                "ECCV",
                2018,
            ),
        ),
        code_licence="Apache-2.0",
    ),
    MethodRecord(
        kind="segformer",
        title="SegFormer",
        papers=(
            Paper(
                "Xie et al.",
                "SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers",
                "NeurIPS",
                2021,
            ),
        ),
        code_licence="NVIDIA's, for research only",
    ),
    MethodRecord(
        kind="upernet",
        title="UPerNet",
        papers=(Paper("Xiao et al.", "Unified Perceptual Parsing for Scene Understanding", "ECCV", 2018),),
        code_licence="BSD-3-Clause",
    ),
    MethodRecord(
        kind="vit_linear",
        title="linear decoder of DINOv2's evaluation",
        papers=(Paper("Oquab et al.", "DINOv2: Learning Robust Visual Features without Supervision", "TMLR", 2024),),
        code_licence="Apache-2.0",
    ),
    MethodRecord(
        kind="vit_mask_tokens",
        title="Segmenter",
        papers=(Paper("Strudel et al.", "Segmenter: Transformer for Semantic Segmentation", "ICCV", 2021),),
        code_licence="MIT",
    ),
)


def published_rows(kind: str, table: PublishedTableName) -> tuple[tuple[str, ...], ...]:
    """The rows of a localizer in a published table, each starting with its title."""
    record = LOCALIZER_METHODS[kind]
    return tuple((record.title, *row.cells) for row in record.published if row.table == table)
