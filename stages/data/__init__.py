"""Stage `data`: datasets (or the composed demo set) to one index CSV a split."""
