"""Stage `refine`: localization maps to pseudo masks."""
