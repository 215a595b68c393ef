"""A record of each segmenter, by the name of its overlay in configs/segment."""

from collections.abc import Mapping

from stages.methods.localizers import MCTFORMER
from stages.methods.record import NOT_STATED, MethodRecord, Paper

_RECORDS = (
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
    ),
    MethodRecord(
        kind="deeplabv1_mctformer",
        title="DeepLabV1 of MCTformer's code",
        papers=(MCTFORMER,),
        code="https://github.com/xulianuwa/MCTformer",
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
        code="https://github.com/tensorflow/models",
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
        code="https://github.com/NVlabs/SegFormer",
        code_licence="NVIDIA's, for research only",
    ),
    MethodRecord(
        kind="upernet",
        title="UPerNet",
        papers=(Paper("Xiao et al.", "Unified Perceptual Parsing for Scene Understanding", "ECCV", 2018),),
        code="https://github.com/CSAILVision/unifiedparsing",
        code_licence="BSD-3-Clause",
    ),
    MethodRecord(
        kind="vit_linear",
        title="linear decoder of DINOv2's evaluation",
        papers=(Paper("Oquab et al.", "DINOv2: Learning Robust Visual Features without Supervision", "TMLR", 2024),),
        code="https://github.com/facebookresearch/dinov2",
        code_licence="Apache-2.0",
    ),
    MethodRecord(
        kind="vit_mask_tokens",
        title="Segmenter",
        papers=(Paper("Strudel et al.", "Segmenter: Transformer for Semantic Segmentation", "ICCV", 2021),),
        code="https://github.com/rstrudel/segmenter",
        code_licence="MIT",
    ),
)
SEGMENTER_METHODS: Mapping[str, MethodRecord] = {record.kind: record for record in _RECORDS}
