"""The configs of published datasets at their full size, run to the end on a few photographs: `make full-size`."""
