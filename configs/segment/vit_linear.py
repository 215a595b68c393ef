# The linear decoder of DINOv2's evaluation (Oquab et al., TMLR 2024): a batch norm and one classifier of patch tokens.
# Meant for a plain ViT that is frozen as a whole: `backbone: vit_base_patch14_dinov2.lvd142m` or
# `vit_base_patch16_dinov3.lvd1689m`, frozen_stages 12 (its number of blocks). To start from: learning_rate 1.0e-3,
# weight_decay 1.0e-4, warmup_iterations 1500, and a crop that is a multiple of the patch, such as 448.
features = "last"
output_stride = 16
model = {
    "decode_head": {"type": "LinearTokenHead", "dropout_ratio": 0.0},
}
