# compare: variants of the localizer side by side. No target but these trains them: ablation_tokens, ablation_context,
# compare_localizers.
VARIANTS = all_variants(experiment)
VARIANT = "results/{experiment}/localize/variants/{variant}-{seed}"


wildcard_constraints:
    variant="[A-Za-z0-9_-]+",
    seed="[0-9]+",
    table="ablation_tokens|ablation_context|compare_localizers",


def seeds_of(table):
    """The seeds of a table."""
    return experiment.compare.localizer_seeds if table == "compare_localizers" else experiment.compare.seeds


def variant_files(pattern, variant, seed, **wildcards):
    """Files of a variant below its folder; those of the experiment's own localizer where it is the same."""
    own = VARIANTS[variant] == experiment.localize and seed == experiment.seed
    return results(f"localize/{pattern}" if own else f"localize/variants/{variant}-{seed}/{pattern}", **wildcards)


def variant_score(variant, seed):
    """The score of a variant's maps."""
    own = VARIANTS[variant] == experiment.localize and seed == experiment.seed
    split = experiment.compare.split
    folder = "evaluate" if own else f"evaluate/variants/{variant}-{seed}"
    return results(f"{folder}/maps-{split}.json")[0]


def of_variant(find):
    """An input or params function: what `find` gives for the settings of the job's variant."""
    return lambda wildcards: find(VARIANTS[wildcards.variant])


use rule train_localizer as train_variant with:
    input:
        unpack(lambda wildcards: dataset()),
        unpack(of_variant(training_files)),
        index="results/{experiment}/data/train.csv",
        checked=expand("results/{{experiment}}/data/{split}.csv", split=SPLITS),
        classes=rules.list_classes.output.classes,
        text=rules.embed_text.output.text,
    output:
        localizer=f"{VARIANT}/localizer.safetensors",
        curves=f"{VARIANT}/training.csv",
    log:
        "logs/{experiment}/localize/variants/{variant}-{seed}/train.log",
    benchmark:
        "results/{experiment}/benchmarks/localize/variants/{variant}-{seed}/train.tsv"
    params:
        settings=of_variant(lambda variant: localize_json(variant, without=FOR_TRAINING)),
        seed=lambda wildcards: wildcards.seed,
        code=code_of("stages.localize.train"),
        root=dataset_root,
        options=training_options,
        work="results/{experiment}/work/localize/variants/{variant}-{seed}",


use rule make_maps as make_variant_maps with:
    input:
        **dataset(),
        index=rules.make_index.output.index,
        localizer=rules.train_variant.output.localizer,
    output:
        maps=f"{VARIANT}/maps/{{split}}/{{shard}}.safetensors",
    log:
        "logs/{experiment}/localize/variants/{variant}-{seed}/maps/{split}/{shard}.log",
    benchmark:
        "results/{experiment}/benchmarks/localize/variants/{variant}-{seed}/maps/{split}/{shard}.tsv"
    params:
        settings=of_variant(lambda variant: localize_json(variant, without=FOR_MAPS)),
        root=dataset_root,
        shards=experiment.data.shards,
        code=code_of("stages.localize.make_maps"),


use rule score_maps as score_variant with:
    input:
        **dataset(),
        index=rules.make_index.output.index,
        classes=rules.list_classes.output.classes,
        maps=shards(rules.make_variant_maps.output.maps),
    output:
        score="results/{experiment}/evaluate/variants/{variant}-{seed}/maps-{split}.json",
    log:
        "logs/{experiment}/evaluate/variants/{variant}-{seed}/maps-{split}.log",
    benchmark:
        "results/{experiment}/benchmarks/evaluate/variants/{variant}-{seed}/maps-{split}.tsv"
    params:
        settings=settings("evaluate", only=["thresholds"]),
        threshold=experiment.refine.background_threshold,
        class_threshold=experiment.localize.class_threshold,
        seed=lambda wildcards: wildcards.seed,
        root=dataset_root,
        code=code_of("stages.evaluate.score_maps"),


def table_scores(table):
    """The scores of all rows and seeds of a table."""
    return [variant_score(name, seed) for name in table_rows(experiment, table) for seed in seeds_of(table)]


rule ablation_tokens:
    input:
        table_scores("ablation_tokens"),


rule ablation_context:
    input:
        table_scores("ablation_context"),


rule compare_localizers:
    input:
        table_scores("compare_localizers"),
