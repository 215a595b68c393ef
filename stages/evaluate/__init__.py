"""Stage `evaluate`: every score, each with split, stage and threshold stated."""
