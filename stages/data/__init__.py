"""Stage `data`: from datasets (or the composed demo set) to one index CSV per split."""
