from snakemake.utils import min_version

min_version("9.27")


# A config given with --configfile replaces the default one. Snakemake would merge the two, and the demo's values would
# apply to every setting that the other leaves out.
if not workflow.overwrite_configfiles:

    configfile: "configs/demo.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/encode.smk"
include: "workflow/rules/localize.smk"
include: "workflow/rules/refine.smk"
include: "workflow/rules/segment.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        plan.final,


# The fully supervised bound, which `all` never trains.
rule upper_bound:
    input:
        "<results>/evaluate/upper_bound.csv",
        "<results>/report/upper_bound.html",


rule ablation_tokens:
    input:
        "<results>/evaluate/ablation_tokens.md",
        "<results>/report/ablation_tokens.html",


rule ablation_context:
    input:
        "<results>/evaluate/ablation_context.md",
        "<results>/report/ablation_context.html",


rule compare_localizers:
    input:
        "<results>/evaluate/compare_localizers.md",
        "<results>/report/compare_localizers.html",


rule compare_refiners:
    input:
        "<results>/evaluate/compare_refiners.md",
        "<results>/report/compare_refiners.html",


rule compare_segmenters:
    input:
        "<results>/evaluate/compare_segmenters.md",


# Which masks to look at first, whatever `evaluate.doubt` says.
rule doubt:
    input:
        plan.doubt,


rule voc_submission:
    input:
        lambda wildcards: plan.submission,
