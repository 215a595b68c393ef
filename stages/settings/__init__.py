"""Every setting of tagmask: one strict model a stage. `workflow/schemas/config.schema.yaml` is generated from here."""

from stages.settings.backbones import (
    CnnBackbone,
    FrozenBackbone,
    FrozenNetwork,
    HybridBackbone,
    TowerBackbone,
    VitBackbone,
)
from stages.settings.base import ScoredSplit, Strict, joined, parts_of
from stages.settings.compare import CompareSettings
from stages.settings.crf import CRF_SETS, CrfSettings
from stages.settings.data import (
    CocoSettings,
    DataSettings,
    DemoSettings,
    Encoding,
    FolderSettings,
    OpenImagesSettings,
    VocSettings,
)
from stages.settings.encode import ClipModel, EncodeSettings, PretrainedClip, TowerClip
from stages.settings.evaluate import EvaluateSettings, ReportSettings
from stages.settings.experiment import Experiment, method_fault
from stages.settings.localize import (
    NOT_OF_TRAINING,
    LocalizerTraining,
    LocalizeSettings,
    MapSettings,
)
from stages.settings.methods import (
    CamSettings,
    ClipEsSettings,
    ClipSettings,
    MctformerSettings,
    Method,
    MmcstSettings,
    NeedsAttention,
    OnClip,
    ProxySettings,
    TsCamSettings,
)
from stages.settings.refine import (
    AffinityTraining,
    AttentionAffinity,
    FeaturesAffinity,
    LearnedAffinity,
    RefineSettings,
)
from stages.settings.segment import (
    BootstrappedLoss,
    CrossEntropyLoss,
    InferenceSettings,
    NetworkSettings,
    SegmenterTraining,
    SegmentSettings,
)

__all__ = [
    "CRF_SETS",
    "NOT_OF_TRAINING",
    "AffinityTraining",
    "AttentionAffinity",
    "BootstrappedLoss",
    "CamSettings",
    "ClipEsSettings",
    "ClipModel",
    "ClipSettings",
    "CnnBackbone",
    "CocoSettings",
    "CompareSettings",
    "CrfSettings",
    "CrossEntropyLoss",
    "DataSettings",
    "DemoSettings",
    "EncodeSettings",
    "Encoding",
    "EvaluateSettings",
    "Experiment",
    "FeaturesAffinity",
    "FolderSettings",
    "FrozenBackbone",
    "FrozenNetwork",
    "HybridBackbone",
    "InferenceSettings",
    "LearnedAffinity",
    "LocalizeSettings",
    "LocalizerTraining",
    "MapSettings",
    "MctformerSettings",
    "Method",
    "MmcstSettings",
    "NeedsAttention",
    "NetworkSettings",
    "OnClip",
    "OpenImagesSettings",
    "PretrainedClip",
    "ProxySettings",
    "RefineSettings",
    "ReportSettings",
    "ScoredSplit",
    "SegmentSettings",
    "SegmenterTraining",
    "Strict",
    "TowerBackbone",
    "TowerClip",
    "TsCamSettings",
    "VitBackbone",
    "VocSettings",
    "joined",
    "method_fault",
    "parts_of",
]
