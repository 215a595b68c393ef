"""The demo set: photographs composed from packaged cut-outs."""
