# DeepLabV1 with a large field of view (Chen et al., ICLR 2015): one atrous convolution at stride 8. On `backbone:
# resnet38` this is the segmenter of the paper and of its rivals (MCTformer, SEAM, AuxSegNet), as far as these describe
# it. A schedule to start from, not theirs to the letter: `optimizer: sgd`, learning_rate 7.0e-3, backbone_rate 0.1,
# weight_decay 5.0e-4, crop 321, batch_size 10.
features = "last"
output_stride = 8
model = {
    "decode_head": {"type": "LargeFOVHead", "channels": 512, "dilation": 12, "dropout_ratio": 0.5},
}
