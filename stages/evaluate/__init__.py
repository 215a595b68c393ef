"""Stage `evaluate`: all scores, each with its split, stage and threshold."""
