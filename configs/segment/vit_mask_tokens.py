# Segmenter's mask tokens (Strudel et al., ICCV 2021): a token per label and the patch tokens pass through two more
# transformer blocks, and label each other. Meant for a plain ViT, such as `vit_base_patch14_dinov2.lvd142m` or
# `vit_base_patch16_dinov3.lvd1689m`. The paper's decoder is as wide as the encoder: decoder_channels 768 on a ViT-B.
# To start from: learning_rate 1.0e-4, weight_decay 0.01, warmup_iterations 1500, and either backbone_rate 0.1 or, to
# freeze it, frozen_stages 12 (its number of blocks); a crop that is a multiple of the patch, such as 448.
features = "last"
output_stride = 16
model = {
    "decode_head": {"type": "MaskTokenHead", "channels": 384, "layers": 2, "dropout_ratio": 0.0},
}
