# evaluate: all scores, each with its split, stage and threshold.


# Before anything that takes long, so that an id without a training image is reported at the start.
rule list_scored:
    input:
        **plan.dataset.inputs,
        listed=plan.dataset.scored_list,
        index="<results>/data/train.csv",
        left_out="<results>/data/left_out/train.csv",
    output:
        ids="<results>/evaluate/scored_train.txt",
    log:
        "<logs>/evaluate/scored_train.log",
    benchmark:
        "<benchmarks>/evaluate/scored_train.tsv"
    priority: 100
    conda:
        "../../environment.yml"
    resources:
        **needs(1000, minutes=5),
    params:
        settings=settings("evaluate", only=["train_list"]),
        code=code_of("stages.evaluate.list_scored"),
    shell:
        "python -m stages.evaluate.list_scored --settings {params.settings:q} --index {input.index}"
        " --left-out {input.left_out} --output {output.ids} &> {log}"


rule score_maps:
    input:
        unpack(lambda wildcards: plan.maps_threshold(localizer_of(wildcards))),
        unpack(lambda wildcards: plan.dataset.scored(wildcards.split)),
        **plan.dataset.inputs,
        index=rules.make_index.output.index,
        classes=rules.list_classes.output.classes,
        maps=lambda wildcards: localizer_of(wildcards).maps(wildcards.split),
    output:
        score=shown(
            "<results>/evaluate/{localizer}maps-{split}.json",
            "score",
            "Scores",
            stage="{localizer}maps",
            split="{split}",
        ),
    log:
        "<logs>/evaluate/{localizer}maps-{split}.log",
    benchmark:
        "<benchmarks>/evaluate/{localizer}maps-{split}.tsv"
    wildcard_constraints:
        split=SCORED_SPLIT,
    conda:
        "../../environment.yml"
    resources:
        **needs(2000, minutes=60),
    params:
        settings=settings("evaluate", only=["thresholds"]),
        options=given("threshold", "only"),
        threshold=plan.refiners.own.threshold_number,
        class_threshold=experiment.localize.class_threshold,
        language=lambda wildcards: plan.language.of_maps(localizer_of(wildcards).settings),
        seed=lambda wildcards: localizer_of(wildcards).seed,
        negatives=lambda wildcards: negatives(parts_of(wildcards.split)),
        root=dataset_root,
        code=code_of("stages.evaluate.score_maps"),
    shell:
        "python -m stages.evaluate.score_maps --settings {params.settings:q} --split {wildcards.split}"
        " --seed {params.seed} {params.options} {params.threshold} --class-threshold {params.class_threshold}"
        " --language {params.language:q} {params.negatives}"
        " --index {input.index} --root {params.root:q} --classes {input.classes} --maps {input.maps}"
        " --output {output.score} &> {log}"


# `{scored}` is empty for the experiment's own masks, `refiners/NAME/` or `segmenters/SEED/` (`SEED-roundN/`) for those in
# the tables.
rule score_masks:
    input:
        unpack(lambda wildcards: scored_of(wildcards).inputs),
        unpack(lambda wildcards: plan.dataset.scored(wildcards.split)),
        **plan.dataset.inputs,
        index=rules.make_index.output.index,
        classes=rules.list_classes.output.classes,
        masks=lambda wildcards: scored_of(wildcards).masks,
    output:
        score=shown(
            "<results>/evaluate/{scored}{stage}-{split}.json",
            "score",
            "Scores",
            stage="{scored}{stage}",
            split="{split}",
        ),
        confusion="<results>/evaluate/{scored}{stage}-{split}-confusion.csv",
        images="<results>/evaluate/{scored}{stage}-{split}-images.csv",
        picture=shown(
            "<results>/evaluate/{scored}{stage}-{split}-confusion.png",
            "confusion",
            "Confusion",
            stage="{scored}{stage}",
            split="{split}",
        ),
    log:
        "<logs>/evaluate/{scored}{stage}-{split}.log",
    benchmark:
        "<benchmarks>/evaluate/{scored}{stage}-{split}.tsv"
    wildcard_constraints:
        scored=any_of(plan.scored_folders),
        stage=any_of(MASK_STAGES),
        split=SCORED_SPLIT,
    conda:
        "../../environment.yml"
    resources:
        **needs(2000, minutes=60),
    params:
        options=given("threshold", "only", "mended"),
        background=lambda wildcards: scored_of(wildcards).background,
        round=lambda wildcards: scored_of(wildcards).round,
        language=lambda wildcards: scored_of(wildcards).language,
        seed=lambda wildcards: scored_of(wildcards).seed,
        root=dataset_root,
        code=code_of("stages.evaluate.score_masks"),
    shell:
        "python -m stages.evaluate.score_masks --stage {wildcards.stage}"
        " --split {wildcards.split} --seed {params.seed} {params.options} {params.background} {params.round}"
        " --language {params.language:q} --index {input.index} --root {params.root:q} --classes {input.classes}"
        " --masks {input.masks} --output {output.score} --confusion {output.confusion} --picture {output.picture}"
        " --images {output.images} &> {log}"


# How much pseudo masks are to be doubted, without true masks.
rule measure_doubt:
    input:
        unpack(lambda wildcards: plan.doubts.inputs(wildcards.split, wildcards.shard)),
        **plan.dataset.inputs,
        classes=rules.list_classes.output.classes,
    output:
        doubts="<results>/evaluate/doubt/{split}/{shard}.csv",
    log:
        "<logs>/evaluate/doubt/{split}/{shard}.log",
    benchmark:
        "<benchmarks>/evaluate/doubt/{split}/{shard}.tsv"
    conda:
        "../../environment.yml"
    # The CRF has one thread of its own, so this is the number of processes.
    threads: 8
    resources:
        # Besides the processes, the walk.
        **needs(2000, minutes=240, gpu=plan.refiners.own.gpus, each=crf_process(1200)),
    params:
        settings=lambda wildcards: plan.refiners.masks_json(plan.refiners.own),
        options=given("affinity", "threshold"),
        threshold=plan.refiners.own.threshold_number,
        localize=lambda wildcards: plan.refiners.walked_option(plan.refiners.own),
        root=dataset_root,
        code=code_of("stages.evaluate.measure_doubt"),
    shell:
        "python -m stages.evaluate.measure_doubt --settings {params.settings:q} {params.options} {params.threshold}"
        " {params.localize} --index {input.index} --root {params.root:q} --classes {input.classes} --maps {input.maps}"
        " --masks {input.masks} --predictions {input.predictions} --processes {threads} --output {output.doubts} &> {log}"


rule join_doubts:
    input:
        unpack(lambda wildcards: plan.mended.list_of(wildcards.split)),
        doubts=lambda wildcards: plan.doubts.shards(wildcards.split),
    output:
        table=shown("<results>/evaluate/doubt-{split}.csv", "doubt", "Tables", table="doubt", shows="{split}"),
    log:
        "<logs>/evaluate/doubt-{split}.log",
    benchmark:
        "<benchmarks>/evaluate/doubt-{split}.tsv"
    conda:
        "../../environment.yml"
    resources:
        **needs(1000, minutes=5),
    params:
        options=given("mended"),
        code=code_of("stages.evaluate.join_doubts"),
    message:
        "Joining the doubts of {wildcards.split}. The masks to look at first are at the end of {log}"
    shell:
        "python -m stages.evaluate.join_doubts --doubts {input.doubts} {params.options} --output {output.table} &> {log}"


# Maps of images with one tag, by the protocol of wsolevaluation. The threshold is chosen on val; test only uses it.
rule score_localization:
    input:
        unpack(lambda wildcards: plan.chosen_on_val(wildcards.split)),
        index=rules.make_index.output.index,
        masks=rules.make_localization_truth.output.masks,
        maps=lambda wildcards: plan.localizers.own.maps(wildcards.split),
    output:
        score=shown(
            "<results>/evaluate/localization-{split}.json",
            "localization",
            "Scores",
            stage="localization",
            split="{split}",
        ),
    log:
        "<logs>/evaluate/localization-{split}.log",
    benchmark:
        "<benchmarks>/evaluate/localization-{split}.tsv"
    conda:
        "../../environment.yml"
    resources:
        **needs(3000, minutes=60),
    params:
        seed=experiment.seed,
        chosen=given("chosen"),
        language=lambda wildcards: plan.language.of_maps(experiment.localize),
        code=code_of("stages.evaluate.score_localization"),
    shell:
        "python -m stages.evaluate.score_localization --split {wildcards.split}"
        " --seed {params.seed} {params.chosen} --language {params.language:q} --index {input.index}"
        " --masks {input.masks} --maps {input.maps} --output {output.score} &> {log}"


# summary.csv is the table for `all`; upper_bound.csv also has the fully supervised bound and the share of it reached.
rule summarize:
    input:
        scores=lambda wildcards: plan.scores(bound=wildcards.table == "upper_bound"),
    output:
        table=shown("<results>/evaluate/{table}.csv", "summary", "Scores", stage="all", split="{table}"),
    log:
        "<logs>/evaluate/{table}.log",
    benchmark:
        "<benchmarks>/evaluate/{table}.tsv"
    wildcard_constraints:
        table="summary|upper_bound",
    conda:
        "../../environment.yml"
    resources:
        **needs(1000, minutes=5),
    params:
        code=code_of("stages.evaluate.summarize"),
    shell:
        "python -m stages.evaluate.summarize --scores {input.scores} --output {output.table} &> {log}"


# The archive for PASCAL VOC's evaluation server: the labels of its test images are not public.
rule write_submission:
    input:
        index="<results>/data/test.csv",
        classes=rules.list_classes.output.classes,
        masks=plan.segmenters.own.predictions("predictions", "test"),
    output:
        archive="<results>/evaluate/voc_submission.tar.gz",
    log:
        "<logs>/evaluate/voc_submission.log",
    benchmark:
        "<benchmarks>/evaluate/voc_submission.tsv"
    conda:
        "../../environment.yml"
    resources:
        **needs(1000, minutes=30),
    params:
        settings=settings("evaluate", only=["voc_competition"]),
        root=dataset_root,
        code=code_of("stages.evaluate.write_submission"),
    shell:
        "python -m stages.evaluate.write_submission --settings {params.settings:q} --index {input.index}"
        " --root {params.root:q} --classes {input.classes} --masks {input.masks} --output {output.archive} &> {log}"


rule write_table:
    input:
        scores=lambda wildcards: plan.tables[wildcards.table].scores,
        speeds=lambda wildcards: plan.speeds(wildcards.table),
    output:
        table=shown("<results>/evaluate/{table}.csv", "table", "Tables", table="{table}", shows="rows"),
        classes=shown("<results>/evaluate/{table}-classes.csv", "table", "Tables", table="{table}", shows="classes"),
        markdown="<results>/evaluate/{table}.md",
        content="<results>/evaluate/{table}.json",
    log:
        "<logs>/evaluate/{table}.log",
    benchmark:
        "<benchmarks>/evaluate/{table}.tsv"
    wildcard_constraints:
        table=any_of(plan.tables),
    conda:
        "../../environment.yml"
    resources:
        **needs(1000, minutes=5),
    params:
        rows=lambda wildcards: plan.tables[wildcards.table].specification,
        title=lambda wildcards: plan.tables[wildcards.table].title,
        speeds=lambda wildcards, input: f"--speeds {input.speeds}" if input.speeds else "",
        code=code_of("stages.evaluate.write_table"),
    shell:
        "python -m stages.evaluate.write_table --title {params.title:q} --rows {params.rows:q} {params.speeds}"
        " --table {output.table} --classes {output.classes} --markdown {output.markdown} --content {output.content}"
        " &> {log}"


# The segmenter on pseudo masks, in each round, and on true masks over several seeds, and using the tags on train, next to
# the pseudo masks it was trained on.
rule write_segmenter_table:
    input:
        scores=plan.segmenters.scores(),
    output:
        table=shown(
            "<results>/evaluate/compare_segmenters.csv",
            "segmenters",
            "Tables",
            table="compare_segmenters",
            shows="rows",
        ),
        markdown="<results>/evaluate/compare_segmenters.md",
        content="<results>/evaluate/compare_segmenters.json",
    log:
        "<logs>/evaluate/compare_segmenters.log",
    benchmark:
        "<benchmarks>/evaluate/compare_segmenters.tsv"
    conda:
        "../../environment.yml"
    resources:
        **needs(1000, minutes=5),
    params:
        code=code_of("stages.evaluate.compare_segmenters"),
    shell:
        "python -m stages.evaluate.compare_segmenters --scores {input.scores} --table {output.table}"
        " --markdown {output.markdown} --content {output.content} &> {log}"
