# evaluate: every score, with its split, stage and threshold.


# Before anything that takes long, so that an id which is no training image is told at the start.
rule list_scored:
    input:
        **dataset(),
        listed=listed_file,
        index="results/{experiment}/data/train.csv",
        left_out="results/{experiment}/data/left_out/train.csv",
    output:
        ids="results/{experiment}/evaluate/scored_train.txt",
    log:
        "logs/{experiment}/evaluate/scored_train.log",
    benchmark:
        "results/{experiment}/benchmarks/evaluate/scored_train.tsv"
    priority: 100
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(1000),
        runtime=5,
    params:
        settings=settings("evaluate", only=["train_list"]),
        code=code_of("stages.evaluate.list_scored"),
    shell:
        "python -m stages.evaluate.list_scored --settings {params.settings:q} --index {input.index}"
        " --left-out {input.left_out} --output {output.ids} &> {log}"


rule score_maps:
    input:
        unpack(own_threshold_file),
        unpack(train_list),
        **dataset(),
        index=rules.make_index.output.index,
        classes=rules.list_classes.output.classes,
        maps=shards(rules.make_maps.output.maps),
    output:
        score=report(
            "results/{experiment}/evaluate/maps-{split}.json",
            caption="../report/score.rst",
            category="Scores",
            labels={"stage": "maps", "split": "{split}"},
        ),
    log:
        "logs/{experiment}/evaluate/maps-{split}.log",
    benchmark:
        "results/{experiment}/benchmarks/evaluate/maps-{split}.tsv"
    wildcard_constraints:
        split=SCORED_SPLIT,
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(4000),
        runtime=60,
    params:
        settings=settings("evaluate", only=["thresholds"]),
        threshold=own_threshold_option,
        class_threshold=experiment.localize.class_threshold,
        language=LANGUAGE,
        only=only_option,
        seed=experiment.seed,
        root=dataset_root,
        code=code_of("stages.evaluate.score_maps"),
    shell:
        "python -m stages.evaluate.score_maps --settings {params.settings:q} --split {wildcards.split}"
        " --seed {params.seed} {params.threshold} --class-threshold {params.class_threshold} {params.only}"
        " --language {params.language:q}"
        " --index {input.index} --root {params.root:q} --classes {input.classes} --maps {input.maps}"
        " --output {output.score} &> {log}"


rule score_masks:
    input:
        unpack(mask_files),
        unpack(train_list),
        **dataset(),
        index=rules.make_index.output.index,
        classes=rules.list_classes.output.classes,
        masks=lambda wildcards: scored_masks(wildcards),
    output:
        score=report(
            "results/{experiment}/evaluate/{stage}-{split}.json",
            caption="../report/score.rst",
            category="Scores",
            labels={"stage": "{stage}", "split": "{split}"},
        ),
        confusion="results/{experiment}/evaluate/{stage}-{split}-confusion.csv",
        picture=report(
            "results/{experiment}/evaluate/{stage}-{split}-confusion.png",
            caption="../report/confusion.rst",
            category="Confusion",
            labels={"stage": "{stage}", "split": "{split}"},
        ),
    log:
        "logs/{experiment}/evaluate/{stage}-{split}.log",
    benchmark:
        "results/{experiment}/benchmarks/evaluate/{stage}-{split}.tsv"
    wildcard_constraints:
        stage="pseudo_masks|segmenter|told_segmenter|upper_bound",
        split=SCORED_SPLIT,
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(2000),
        runtime=60,
    params:
        threshold=mask_option,
        language=language_of_masks,
        only=only_option,
        seed=experiment.seed,
        root=dataset_root,
        code=code_of("stages.evaluate.score_masks"),
    shell:
        "python -m stages.evaluate.score_masks --stage {wildcards.stage}"
        " --split {wildcards.split} --seed {params.seed} {params.threshold} {params.only}"
        " --language {params.language:q} --index {input.index} --root {params.root:q} --classes {input.classes}"
        " --masks {input.masks} --output {output.score} --confusion {output.confusion} --picture {output.picture}"
        " &> {log}"


# Maps of images with one tag, by the protocol of wsolevaluation. The threshold is chosen on val; test only uses it.
rule score_localization:
    input:
        unpack(chosen_on_val),
        index=rules.make_index.output.index,
        masks=rules.make_localization_truth.output.masks,
        maps=shards(rules.make_maps.output.maps),
    output:
        score=report(
            "results/{experiment}/evaluate/localization-{split}.json",
            caption="../report/localization.rst",
            category="Scores",
            labels={"stage": "localization", "split": "{split}"},
        ),
    log:
        "logs/{experiment}/evaluate/localization-{split}.log",
    benchmark:
        "results/{experiment}/benchmarks/evaluate/localization-{split}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(3000),
        runtime=60,
    params:
        seed=experiment.seed,
        chosen=lambda wildcards, input: f"--chosen {input.chosen}" if wildcards.split != "val" else "",
        language=LANGUAGE,
        code=code_of("stages.evaluate.score_localization"),
    shell:
        "python -m stages.evaluate.score_localization --split {wildcards.split}"
        " --seed {params.seed} {params.chosen} --language {params.language:q} --index {input.index}"
        " --masks {input.masks} --maps {input.maps} --output {output.score} &> {log}"


# summary.csv is the table of `all`; upper_bound.csv has the fully supervised bound in it and the share reached of it.
rule summarize:
    input:
        scores=lambda wildcards: scores(bound=wildcards.table == "upper_bound"),
    output:
        table=report(
            "results/{experiment}/evaluate/{table}.csv",
            caption="../report/summary.rst",
            category="Scores",
            labels={"stage": "all", "split": "{table}"},
        ),
    log:
        "logs/{experiment}/evaluate/{table}.log",
    benchmark:
        "results/{experiment}/benchmarks/evaluate/{table}.tsv"
    wildcard_constraints:
        table="summary|upper_bound",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(1000),
        runtime=5,
    params:
        code=code_of("stages.evaluate.summarize"),
    shell:
        "python -m stages.evaluate.summarize --scores {input.scores} --output {output.table} &> {log}"


# The archive that PASCAL VOC's evaluation server takes: the labels of its test images are not public.
rule write_submission:
    input:
        index="results/{experiment}/data/test.csv",
        classes=rules.list_classes.output.classes,
        masks=expand("results/{{experiment}}/segment/pseudo_masks/predictions/test/{shard}", shard=SHARDS),
    output:
        archive="results/{experiment}/evaluate/voc_submission.tar.gz",
    log:
        "logs/{experiment}/evaluate/voc_submission.log",
    benchmark:
        "results/{experiment}/benchmarks/evaluate/voc_submission.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(1000),
        runtime=30,
    params:
        settings=settings("evaluate", only=["voc_competition"]),
        root=dataset_root,
        code=code_of("stages.evaluate.write_submission"),
    shell:
        "python -m stages.evaluate.write_submission --settings {params.settings:q} --index {input.index}"
        " --root {params.root:q} --classes {input.classes} --masks {input.masks} --output {output.archive} &> {log}"


rule voc_submission:
    input:
        lambda wildcards: voc_submission_file(),
