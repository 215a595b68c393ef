# SegFormer (Xie et al., NeurIPS 2021): a decoder of 1 x 1 convolutions over four strides. On `backbone: mit_b0` to
# `mit_b5`, or on a timm model with four strides. Its schedule: learning_rate 6.0e-4, backbone_rate 0.1, weight_decay
# 0.01, warmup_iterations 1500. The published MiT weights are for research only (NVIDIA's licence).
features = "pyramid"
output_stride = 32
model = {
    "decode_head": {"type": "SegformerHead", "channels": 256, "dropout_ratio": 0.1},
}
