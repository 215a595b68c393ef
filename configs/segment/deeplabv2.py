# DeepLabV2 (Chen et al., TPAMI 2018): four atrous classifiers at stride 8, summed. On ResNet101 as in CLIMS and many
# others of the field. To start from: `optimizer: sgd`, learning_rate 2.5e-3, backbone_rate 0.1, weight_decay 5.0e-4.
features = "last"
output_stride = 8
model = {
    "decode_head": {"type": "SummedASPPHead", "dilations": [6, 12, 18, 24], "dropout_ratio": 0.0},
}
