"""The words that tables and pages show for the names in `stages.vocabulary`."""

from collections.abc import Mapping

# In a column, a heading or a legend.
STAGE_WORDS: Mapping[str, str] = {
    "maps": "maps",
    "pseudo_masks": "pseudo masks",
    "told_segmenter": "segmenter, using the tags",
    "segmenter": "segmenter",
    "upper_bound": "upper bound",
}
# Rows of the table of segmenters; each says what the segmenter was trained on.
SEGMENTER_ROWS: Mapping[str, str] = {
    "pseudo_masks": "pseudo masks, using the tags",
    "told_segmenter": "segmenter trained on them, using the tags",
    "segmenter": "segmenter trained on them",
    "upper_bound": "segmenter trained on true masks",
}
# The same of a segmenter from the second round on.
ROUND_ROWS: Mapping[str, str] = {
    "told_segmenter": "segmenter of round {}, using the tags",
    "segmenter": "segmenter of round {}",
}

# In the narrow column "chosen"
SOURCE_CELLS: Mapping[str, str] = {
    "fixed": "fixed",
    "auto": "without true masks",
    "oracle": "with true masks",
}
# In the legend of a chart.
SOURCE_LEGEND: Mapping[str, str] = {
    "fixed": "fixed in the config",
    "auto": "chosen without true masks",
    "oracle": "chosen with true masks",
}
# In the sentence above a table of refiners, where an oracle must be hard to miss.
SOURCE_NOTES: Mapping[str, str] = {
    "fixed": "in the config",
    "auto": "chosen without true masks",
    "oracle": "ORACLE, chosen on true masks",
}
