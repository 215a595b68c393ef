from snakemake.utils import min_version

min_version("9.27")


# A config given with --configfile stands in for the default one. Snakemake would merge the two, and the demo's settings
# would shine through wherever the other leaves one out.
if not workflow.overwrite_configfiles:

    configfile: "configs/demo.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/language.smk"
include: "workflow/rules/variants.smk"
include: "workflow/rules/refiners.smk"
include: "workflow/rules/segmenters.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/encode.smk"
include: "workflow/rules/localize.smk"
include: "workflow/rules/refine.smk"
include: "workflow/rules/segment.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/compare_segmenters.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/provenance.smk"


# What each stage leaves, not the page alone: Snakemake makes a deleted file again only where a target asks for it.
rule all:
    default_target: True
    input:
        results("data/sheets/{split}.jpg", split=SPLITS),
        results("localize/localizer.safetensors"),
        results("localize/maps/{split}/{shard}.safetensors", split=MAP_SPLITS, shard=SHARDS),
        results("refine/masks/{split}/{shard}", split=MAP_SPLITS, shard=SHARDS),
        results("segment/pseudo_masks/segmenter.safetensors"),
        results("segment/pseudo_masks/predictions/{split}/{shard}", split=experiment.segment.predict, shard=SHARDS),
        results("evaluate/summary.csv"),
        localization_scores(),
        results("report/index.html"),
        results("report/gallery.html"),
        results("provenance.json"),
