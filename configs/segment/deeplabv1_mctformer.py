# DeepLabV1 as MCTformer's public program has it (Xu et al., CVPR 2022, seg/network/resnet38_seg.py): two 3 x 3 atrous
# convolutions at stride 8, without batch norm and dropout. Meant for `backbone: resnet38`, started from classification
# weights. configs/voc12.yaml has the schedule that goes with it.
features = "last"
output_stride = 8
model = {
    "decode_head": {"type": "TwoAtrousHead", "channels": 512, "dilation": 12, "dropout_ratio": 0.0},
}
