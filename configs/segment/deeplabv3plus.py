# DeepLabV3+ (Chen et al., ECCV 2018): an atrous spatial pyramid at stride 16, and a decoder that adds features of
# stride 4. Works on every backbone. On ResNet101 the usual choice; the demo has it on a small CNN.

# Which of the backbone's feature maps the decoder reads: last | low_and_last | pyramid.
features = "low_and_last"
# Stride of the last feature map that `dilations` are meant for; they are scaled where `segment.output_stride` differs.
output_stride = 16
# Merged over what tagmask fills in: the backbone, its channels, the classes, the loss, 255 as ignored label.
model = {
    "decode_head": {
        "type": "DepthwiseSeparableASPPHead",
        "channels": 256,
        "dilations": [1, 6, 12, 18],
        "c1_channels": 48,
        "dropout_ratio": 0.1,
    },
}
