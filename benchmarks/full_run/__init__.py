"""The configs of the paper at their full size, run to the end on a few photographs: `make full-size`."""
