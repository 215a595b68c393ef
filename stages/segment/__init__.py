"""Stage `segment`: trains DeepLab in mmsegmentation on masks; predicts val and test."""
