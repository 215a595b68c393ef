"""Settings of the tables that compare variants of a stage."""

from typing import Annotated, Any

from pydantic import Field

from stages.settings.base import Once, Rounds, ScoredSplit, Seed, Strict


class CompareSettings(Strict):
    """Ablations and comparisons: `snakemake ablation_tokens`, `ablation_context`, `compare_localizers`,
    `compare_refiners`, `compare_segmenters`."""

    split: ScoredSplit = Field(
        "val",
        description="split whose maps are scored, at its best threshold; `train+val` scores the images of both"
        " together",
    )
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1), Once] = Field(
        (0, 1, 2), description="seeds of the ablations; tables give mean and deviation"
    )
    localizer_seeds: Annotated[tuple[Seed, ...], Field(min_length=1), Once] = Field(
        (0,), description="seeds of `compare_localizers`"
    )
    segmenter_seeds: Annotated[tuple[Seed, ...], Field(min_length=1), Once] = Field(
        (0, 1, 2), description="seeds of `compare_segmenters`; the pseudo masks are from the experiment's own seed"
    )
    segmenter_rounds: Annotated[tuple[Rounds, ...], Once] = Field(
        (),
        description="rounds of the segmenter that are rows of `compare_segmenters`; if empty, 1 to `segment.rounds`",
    )
    refiner_seeds: Annotated[tuple[Seed, ...], Once] = Field(
        (),
        description="seeds of `compare_refiners`, for the localizer whose maps are refined and for what is trained on"
        " them; if empty, the experiment's own",
    )
    localizers: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], dict[str, Any]] = Field(
        {}, description="name -> settings of `localize` that differ from this experiment's, for the comparison"
    )
    refiners: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], dict[str, Any]] = Field(
        {}, description="name -> settings of `refine` that differ, as extra rows of `compare_refiners`"
    )
