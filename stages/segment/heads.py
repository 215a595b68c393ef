"""Decoders that are not in mmsegmentation: DeepLab's first two, and MCTformer's form of the first."""

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn.functional import relu


@MODELS.register_module()
class SummedASPPHead(BaseDecodeHead):
    """DeepLabV2's classifier: one 3 x 3 atrous convolution per rate, from features to class scores, summed.

    Chen et al., TPAMI 2018, section 3.2 (DeepLab-ASPP), in the form of its ResNet versions, without fc7.
    """

    def __init__(self, *, dilations: Sequence[int], in_channels: int, **options: Any) -> None:
        # The last convolution of the base class is not used; `channels` is only its width.
        super().__init__(in_channels=in_channels, channels=in_channels, **options)
        del self.conv_seg
        self.branches = nn.ModuleList(
            nn.Conv2d(in_channels, self.out_channels, 3, padding=rate, dilation=rate) for rate in dilations
        )
        self.init_cfg = {"type": "Normal", "layer": "Conv2d", "std": 0.01}

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Features [B, channels, rows, columns], the one at `in_index` -> scores [B, labels, rows, columns]."""
        features = self._transform_inputs(inputs)
        if self.dropout is not None:
            features = self.dropout(features)
        return sum((branch(features) for branch in self.branches[1:]), start=self.branches[0](features))


@MODELS.register_module()
class LargeFOVHead(BaseDecodeHead):
    """DeepLabV1's classifier with a large field of view: a 3 x 3 atrous convolution, a 1 x 1, then class scores.

    Chen et al., "Semantic image segmentation with deep convolutional nets and fully connected CRFs", ICLR 2015: fc6,
    fc7 and fc8 of DeepLab-LargeFOV, with batch norms as in its ResNet versions.
    """

    def __init__(self, *, dilation: int, **options: Any) -> None:
        super().__init__(**options)
        norm = {"norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        self.fc6 = ConvModule(self.in_channels, self.channels, 3, padding=dilation, dilation=dilation, **norm)
        self.fc7 = ConvModule(self.channels, self.channels, 1, **norm)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Features [B, channels, rows, columns], the one at `in_index` -> scores [B, labels, rows, columns]."""
        return self.cls_seg(self.fc7(self.fc6(self._transform_inputs(inputs))))


@MODELS.register_module()
class TwoAtrousHead(BaseDecodeHead):
    """MCTformer's form of DeepLabV1: two 3 x 3 atrous convolutions, ReLU between them, no batch norm.

    Source: the public program of Xu et al., CVPR 2022.
    """

    def __init__(self, *, dilation: int, **options: Any) -> None:
        super().__init__(**options)
        self.hidden = nn.Conv2d(self.in_channels, self.channels, 3, padding=dilation, dilation=dilation)
        self.conv_seg = nn.Conv2d(self.channels, self.out_channels, 3, padding=dilation, dilation=dilation)
        self.init_cfg = {"type": "Xavier", "layer": "Conv2d", "distribution": "uniform"}

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Features [B, channels, rows, columns], the one at `in_index` -> scores [B, labels, rows, columns]."""
        return self.cls_seg(relu(self.hidden(self._transform_inputs(inputs))))
