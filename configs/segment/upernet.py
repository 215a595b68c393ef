# UPerNet (Xiao et al., ECCV 2018): a pyramid of strides 4 to 32 with pooled context at the top. Meant for ConvNeXt (Liu
# et al., CVPR 2022): `backbone: convnext_tiny.fb_in22k`, `convnext_base.fb_in22k` and so on; works on any backbone with
# four feature maps. On ConvNeXt to start from: learning_rate 1.0e-4, backbone_rate 1.0, weight_decay 0.05,
# warmup_iterations 1500, crop 512.
features = "pyramid"
output_stride = 32
model = {
    "decode_head": {"type": "UPerHead", "channels": 512, "pool_scales": [1, 2, 3, 6], "dropout_ratio": 0.1},
}
