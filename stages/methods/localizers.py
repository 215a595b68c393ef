"""A record of each localizer, by `localize.method.kind`."""

from collections.abc import Mapping

from stages.methods.record import (
    NO_PUBLIC_CODE,
    NOT_STATED,
    MapFigures,
    MethodRecord,
    Paper,
    SegmenterFigures,
    SingleLabelFigures,
)

MCTFORMER = Paper(
    "Xu et al.", "Multi-class Token Transformer for Weakly Supervised Semantic Segmentation", "CVPR", 2022
)
MMCST = MethodRecord(
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
        MapFigures(backbone="ViT-B", voc=66.3, coco=40.9),
        SegmenterFigures(
            backbone="ResNet38",
            network="V1",
            supervision="labels + language",
            voc_val=72.2,
            voc_test=72.2,
            coco_val=45.9,
        ),
        SingleLabelFigures(backbone="ViT-B", piou=57.6, pxap=73.3),
    ),
)
# Figures of the rivals as given by Xu et al., CVPR 2023.
RIVALS = (
    MethodRecord(
        kind="cam",
        title="CAM",
        papers=(Paper("Zhou et al.", "Learning Deep Features for Discriminative Localization", "CVPR", 2016),),
        code="https://github.com/zhoubolei/CAM",
        code_licence="MIT",
        published=(
            MapFigures(backbone="ResNet50", voc=48.8, coco=33.5, second_hand=True),
            SingleLabelFigures(backbone="ResNet50", piou=43.0, pxap=58.2, second_hand=True),
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
        code="https://github.com/vasgaowei/TS-CAM",
        code_licence="MIT",
        published=(MapFigures(backbone="ViT-S", voc=41.3, second_hand=True),),
    ),
    MethodRecord(
        kind="mctformer",
        title="MCTformer",
        papers=(
            MCTFORMER,
            Paper(
                "Xu et al.",
                "MCTformer+: Multi-Class Token Transformer for Weakly Supervised Semantic Segmentation",
                "TPAMI",
                2024,
            ),
        ),
        code="https://github.com/xulianuwa/MCTformer",
        code_licence=NOT_STATED,
        published=(
            MapFigures(backbone="ViT-S", voc=61.7, second_hand=True),
            MapFigures(backbone="ViT-B", voc=62.3, second_hand=True),
            SegmenterFigures(
                backbone="ResNet38", network="V1", voc_val=71.9, voc_test=71.6, coco_val=42.0, second_hand=True
            ),
        ),
    ),
    MethodRecord(
        kind="clip",
        title="MaskCLIP",
        papers=(Paper("Zhou, Loy and Dai", "Extract Free Dense Labels from CLIP", "ECCV", 2022),),
        code="https://github.com/chongzhou96/MaskCLIP",
        trained=False,
    ),
)
# Of the same year as MMCST, and not in its tables. The segmenter starts from ImageNet's weights.
CLIP_ES = MethodRecord(
    kind="clip_es",
    title="CLIP-ES",
    papers=(
        Paper(
            "Lin et al.",
            "CLIP is Also an Efficient Segmenter: A Text-Driven Approach for Weakly Supervised Semantic Segmentation",
            "CVPR",
            2023,
        ),
    ),
    code="https://github.com/linyq2117/CLIP-ES",
    code_licence="MIT",
    trained=False,
    published=(
        MapFigures(backbone="CLIP ViT-B", voc=70.8, refined=75.0),
        SegmenterFigures(
            backbone="ResNet101",
            network="V2",
            supervision="labels + language",
            voc_val=71.1,
            voc_test=71.4,
            coco_val=45.4,
            second_hand=True,
        ),
    ),
)
LOCALIZER_METHODS: Mapping[str, MethodRecord] = {record.kind: record for record in (MMCST, *RIVALS, CLIP_ES)}

# By `localize.method.attention` of `clip`: methods that change what its patches see of each other.
CLIP_ATTENTION_METHODS: Mapping[str, MethodRecord] = {
    record.kind: record
    for record in (
        MethodRecord(
            kind="self",
            title="SCLIP",
            papers=(
                Paper(
                    "Wang, Mei and Yuille",
                    "SCLIP: Rethinking Self-Attention for Dense Vision-Language Inference",
                    "ECCV",
                    2024,
                ),
            ),
            code="https://github.com/wangf3014/SCLIP",
            code_licence=NOT_STATED,
            trained=False,
        ),
        MethodRecord(
            kind="proxy",
            title="ProxyCLIP",
            papers=(
                Paper(
                    "Lan et al.",
                    "ProxyCLIP: Proxy Attention Improves CLIP for Open-Vocabulary Segmentation",
                    "ECCV",
                    2024,
                ),
            ),
            code="https://github.com/mc-lan/ProxyCLIP",
            code_licence="S-Lab License 1.0, not for commercial use",
            trained=False,
        ),
    )
}


def localizer_record(kind: str, attention: str | None = None) -> MethodRecord:
    """The record of a localizer. attention: what chooses between the methods behind `clip`."""
    return CLIP_ATTENTION_METHODS.get(attention or "", LOCALIZER_METHODS[kind])
