"""The names of splits, scored stages and threshold sources, in their order. Imports nothing of the project.

The words for them stand in `stages.words`: a changed word must not make masks and maps again.
"""

from typing import Literal, get_args

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
# A split, or several scored as one, `train+val`: as a regular expression.
SCORED_SPLIT = r"(train(\+val)?(\+test)?|val(\+test)?|test)"

# What a score is of. told_segmenter: the segmenter, told the tags; upper_bound: the segmenter trained on true masks.
StageName = Literal["maps", "pseudo_masks", "told_segmenter", "segmenter", "upper_bound"]
SCORED_STAGES: tuple[StageName, ...] = get_args(StageName)
MASK_STAGES = tuple(stage for stage in SCORED_STAGES if stage != "maps")

# fixed: in the config; auto: chosen without true masks; oracle: chosen with true masks.
ThresholdSource = Literal["fixed", "auto", "oracle"]
