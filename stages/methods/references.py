"""What others have published since MMCST. tagmask does not have these methods; the report shows their figures.

`second_hand` marks figures that were read in another place than the paper or its authors' code.
"""

from stages.methods.record import NO_PUBLIC_CODE, Paper, Reference, SegmenterFigures, SingleLabelFigures

LANGUAGE = "labels + language"

SINCE = (
    Reference(
        title="WeakTr",
        papers=(
            Paper(
                "Zhu et al.",
                "WeakTr: Exploring Plain Vision Transformer for Weakly-supervised Semantic Segmentation",
                "arXiv 2304.01184",
                2023,
            ),
        ),
        code="https://github.com/hustvl/WeakTr",
        published=(SegmenterFigures(backbone="ViT-S", voc_val=78.5, coco_val=51.1, second_hand=True),),
    ),
    Reference(
        title="DHR",
        papers=(
            Paper(
                "Jo et al.",
                "DHR: Dual Features-Driven Hierarchical Rebalancing in Inter- and Intra-Class Regions for"
                " Weakly-Supervised Semantic Segmentation",
                "ECCV",
                2024,
            ),
        ),
        code="https://github.com/shjo-april/DHR",
        published=(SegmenterFigures(backbone="ResNet101", network="V3+", voc_val=79.6, voc_test=79.8, coco_val=53.9),),
    ),
    Reference(
        title="ExCEL",
        papers=(
            Paper(
                "Yang et al.",
                "Exploring CLIP's Dense Knowledge for Weakly Supervised Semantic Segmentation",
                "CVPR",
                2025,
            ),
        ),
        code="https://github.com/zwyang6/ExCEL",
        published=(
            SegmenterFigures(backbone="CLIP ViT-B", supervision=LANGUAGE, voc_val=78.4, voc_test=78.5, coco_val=50.3),
        ),
    ),
    Reference(
        title="WeCLIP+",
        papers=(
            Paper(
                "Zhang et al.",
                "Frozen CLIP-DINO: a Strong Backbone for Weakly Supervised Semantic Segmentation",
                "TPAMI",
                2025,
            ),
        ),
        code="https://github.com/zbf1991/WeCLIP",
        published=(SegmenterFigures(backbone="CLIP and DINO", supervision=LANGUAGE, voc_test=83.9, coco_val=56.3),),
    ),
    Reference(
        title="SSR",
        papers=(
            Paper(
                "Bi et al.",
                "SSR: Semantic and Spatial Rectification for CLIP-based Weakly Supervised Segmentation",
                "AAAI",
                2026,
            ),
        ),
        published=(SegmenterFigures(backbone="CLIP", supervision=LANGUAGE, voc_val=79.5, coco_val=50.6),),
    ),
    Reference(
        title="DiCLIP",
        papers=(
            Paper(
                "Yang et al.",
                "DiCLIP: Diffusion Model Enhances CLIP's Dense Knowledge for Weakly Supervised Semantic Segmentation",
                "arXiv 2605.04593",
                2026,
            ),
        ),
        code="https://github.com/zwyang6/DiCLIP",
        published=(
            SegmenterFigures(
                backbone="CLIP", supervision=LANGUAGE, voc_val=78.8, voc_test=78.9, coco_val=48.7, second_hand=True
            ),
        ),
    ),
    Reference(
        title="CD-CLIP",
        papers=(
            Paper(
                "Yang et al.",
                "Leveraging Class Distributions in CLIP for Weakly Supervised Semantic Segmentation",
                "CVPR",
                2026,
            ),
        ),
        published=(
            SegmenterFigures(
                backbone="CLIP and DINO", supervision=LANGUAGE, voc_val=82.5, coco_val=54.1, second_hand=True
            ),
        ),
    ),
    Reference(
        title="ModuSeg",
        papers=(
            Paper(
                "He et al.",
                "ModuSeg: Decoupling Object Discovery and Semantic Retrieval for Training-Free Weakly Supervised"
                " Segmentation",
                "arXiv 2604.07021",
                2026,
            ),
        ),
        code="https://github.com/Autumnair007/ModuSeg",
        published=(
            SegmenterFigures(
                backbone="foundation models, frozen", voc_val=86.3, voc_test=86.6, coco_val=56.7, second_hand=True
            ),
        ),
    ),
    Reference(
        title="TriLite",
        papers=(
            Paper(
                "Sabaghi and Oramas",
                "TriLite: Efficient Weakly Supervised Object Localization with Universal Visual Features and Tri-Region"
                " Disentanglement",
                "CVPR",
                2026,
            ),
        ),
        code_licence=NO_PUBLIC_CODE,
        published=(SingleLabelFigures(backbone="DINOv2 ViT-S", pxap=73.3, second_hand=True),),
    ),
)
