# What the rules of compare_segmenters.smk share: where the files and scores of the segmenter's other seeds are.
SEGMENTER = "results/{experiment}/segment/variants/{supervision}-{seed}"
SUPERVISIONS = {"segmenter": "pseudo_masks", "told_segmenter": "pseudo_masks", "upper_bound": "true_masks"}


def segmenter_masks(wildcards):
    """The predictions of another seed that a score is about."""
    view = "told" if wildcards.stage == "told_segmenter" else "predictions"
    return expand(
        f"{SEGMENTER}/{view}/{{split}}/{{shard}}",
        supervision=SUPERVISIONS[wildcards.stage],
        shard=SHARDS,
        **{name: wildcards[name] for name in ("experiment", "seed", "split")},
    )


def segmenter_scores(wildcards):
    """The scores of all seeds; those of the experiment's own seed are its own, so that nothing is trained twice."""
    found = results("evaluate/pseudo_masks-train.json") if "train" in experiment.evaluate.maps else []
    for seed in experiment.compare.segmenter_seeds:
        folder = "evaluate" if seed == experiment.seed else f"evaluate/segmenters/{seed}"
        if "train" in experiment.evaluate.maps:
            found += results(f"{folder}/told_segmenter-train.json")
        found += results(
            f"{folder}/{{stage}}-{{split}}.json",
            stage=["segmenter", "upper_bound"],
            split=experiment.evaluate.segmenter,
        )
    return found
