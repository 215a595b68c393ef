# compare: variants of localizer and refiner side by side. No target but these makes them: ablation_tokens,
# ablation_context, compare_localizers, compare_refiners.
VARIANT = "results/{experiment}/localize/variants/{variant}-{seed}"


wildcard_constraints:
    variant="[A-Za-z0-9_-]+",
    seed="[0-9]+",
    table="ablation_tokens|ablation_context|compare_localizers|compare_refiners",


use rule train_localizer as train_variant with:
    input:
        unpack(lambda wildcards: dataset()),
        unpack(of_variant(training_files)),
        index=LEARNED_INDEX,
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
        unpack(lambda wildcards: dataset()),
        unpack(of_variant(map_features)),
        index=rules.make_index.output.index,
        localizer=lambda wildcards: localizer_of(wildcards.variant, int(wildcards.seed)),
    output:
        maps=f"{VARIANT}/maps/{{split}}/{{shard}}.safetensors",
    log:
        "logs/{experiment}/localize/variants/{variant}-{seed}/maps/{split}/{shard}.log",
    benchmark:
        "results/{experiment}/benchmarks/localize/variants/{variant}-{seed}/maps/{split}/{shard}.tsv"
    params:
        settings=of_variant(lambda variant: localize_json(variant, without=FOR_MAPS)),
        options=map_options,
        root=dataset_root,
        shards=experiment.data.shards,
        code=code_of("stages.localize.make_maps"),


use rule score_maps as score_variant with:
    input:
        unpack(train_list),
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
        threshold=variant_threshold,
        class_threshold=experiment.localize.class_threshold,
        language=of_variant(lambda variant: language_of(experiment.encode, variant)),
        seed=lambda wildcards: wildcards.seed,
        root=dataset_root,
        code=code_of("stages.evaluate.score_maps"),


# Walks, CRFs and thresholds side by side, on the maps of the experiment's own localizer.
use rule make_masks as make_refiner_masks with:
    input:
        unpack(lambda wildcards: refining_files(REFINERS[wildcards.refiner])),
        **dataset(),
        index=rules.make_index.output.index,
        maps=rules.make_maps.output.maps,
    output:
        masks=directory("results/{experiment}/refine/variants/{refiner}/{split}/{shard}"),
    log:
        "logs/{experiment}/refine/variants/{refiner}/{split}/{shard}.log",
    benchmark:
        "results/{experiment}/benchmarks/refine/variants/{refiner}/{split}/{shard}.tsv"
    params:
        settings=lambda wildcards: refining_settings(REFINERS[wildcards.refiner]),
        options=lambda wildcards, input: refining_options(REFINERS[wildcards.refiner], input),
        root=dataset_root,
        code=code_of("stages.refine.make_masks"),


use rule score_masks as score_refiner with:
    input:
        unpack(train_list),
        unpack(lambda wildcards: threshold_of(REFINERS[wildcards.refiner])),
        **dataset(),
        index=rules.make_index.output.index,
        classes=rules.list_classes.output.classes,
        masks=shards(rules.make_refiner_masks.output.masks),
    output:
        score="results/{experiment}/evaluate/refiners/{refiner}/{stage}-{split}.json",
        confusion="results/{experiment}/evaluate/refiners/{refiner}/{stage}-{split}-confusion.csv",
        picture="results/{experiment}/evaluate/refiners/{refiner}/{stage}-{split}-confusion.png",
    log:
        "logs/{experiment}/evaluate/refiners/{refiner}/{stage}-{split}.log",
    benchmark:
        "results/{experiment}/benchmarks/evaluate/refiners/{refiner}/{stage}-{split}.tsv"
    params:
        threshold=lambda wildcards, input: background_of(REFINERS[wildcards.refiner], input),
        seed=experiment.seed,
        root=dataset_root,
        code=code_of("stages.evaluate.score_masks"),


rule measure_localizers:
    input:
        **dataset(),
        index=f"results/{{experiment}}/data/{experiment.compare.split}.csv",
        localizers=[
            localizer_of(name, seeds_of("compare_localizers", name)[0])
            for name in table_rows(experiment, "compare_localizers")
        ],
    output:
        speeds="results/{experiment}/localize/speeds.json",
    log:
        "logs/{experiment}/localize/speeds.log",
    benchmark:
        "results/{experiment}/benchmarks/localize/speeds.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=memory(8000),
        runtime=60,
    params:
        settings=json.dumps(
            {
                name: json.loads(localize_json(VARIANTS[name], without=FOR_MAPS))
                for name in table_rows(experiment, "compare_localizers")
            }
        ),
        names=list(table_rows(experiment, "compare_localizers")),
        root=dataset_root,
        code=code_of("stages.localize.measure"),
    shell:
        "python -m stages.localize.measure --settings {params.settings:q} --index {input.index} --root {params.root:q}"
        " --names {params.names} --localizers {input.localizers} --output {output.speeds} &> {log}"


rule write_table:
    input:
        scores=table_scores,
        speeds=lambda wildcards: (
            rules.measure_localizers.output.speeds if wildcards.table == "compare_localizers" else []
        ),
    output:
        table=report(
            "results/{experiment}/evaluate/{table}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}", "shows": "rows"},
        ),
        classes=report(
            "results/{experiment}/evaluate/{table}-classes.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}", "shows": "classes"},
        ),
        markdown="results/{experiment}/evaluate/{table}.md",
    log:
        "logs/{experiment}/evaluate/{table}.log",
    benchmark:
        "results/{experiment}/benchmarks/evaluate/{table}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(1000),
        runtime=5,
    params:
        rows=table_specification,
        title=lambda wildcards: TITLES[wildcards.table],
        speeds=lambda wildcards, input: f"--speeds {input.speeds}" if input.speeds else "",
        code=code_of("stages.evaluate.write_table"),
    shell:
        "python -m stages.evaluate.write_table --title {params.title:q} --rows {params.rows:q} {params.speeds}"
        " --table {output.table} --classes {output.classes} --markdown {output.markdown} &> {log}"


rule make_table_page:
    input:
        **dataset(),
        scores=table_scores,
        speeds=lambda wildcards: (
            rules.measure_localizers.output.speeds if wildcards.table == "compare_localizers" else []
        ),
        pictures=table_pictures,
        index=f"results/{{experiment}}/data/{experiment.compare.split}.csv",
        classes=rules.list_classes.output.classes,
    output:
        page=report(
            "results/{experiment}/report/{table}.html",
            caption="../report/table.rst",
            category="Page",
            labels={"page": "{table}"},
        ),
    log:
        "logs/{experiment}/report/{table}.log",
    benchmark:
        "results/{experiment}/benchmarks/report/{table}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(4000),
        runtime=30,
    params:
        settings=settings("report"),
        rows=table_specification,
        title=lambda wildcards: TITLES[wildcards.table],
        speeds=lambda wildcards, input: f"--speeds {input.speeds}" if input.speeds else "",
        root=dataset_root,
        code=code_of("stages.report.make_table_page"),
    shell:
        "python -m stages.report.make_table_page --settings {params.settings:q} --experiment {wildcards.experiment}"
        " --title {params.title:q} --rows {params.rows:q} {params.speeds} --index {input.index} --root {params.root:q}"
        " --classes {input.classes} --output {output.page} &> {log}"


rule ablation_tokens:
    input:
        results("evaluate/ablation_tokens.md"),
        results("report/ablation_tokens.html"),


rule ablation_context:
    input:
        results("evaluate/ablation_context.md"),
        results("report/ablation_context.html"),


rule compare_localizers:
    input:
        results("evaluate/compare_localizers.md"),
        results("report/compare_localizers.html"),


rule compare_refiners:
    input:
        results("evaluate/compare_refiners.md"),
        results("report/compare_refiners.html"),
