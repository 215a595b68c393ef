# localize: trains the localization transformer, and turns images into class localization maps.


rule train_localizer:
    input:
        **dataset(),
        index="results/{experiment}/data/train.csv",
        # Not read here: training starts once the images of every split were found good.
        checked=expand("results/{{experiment}}/data/{split}.csv", split=SPLITS),
        classes=rules.list_classes.output.classes,
        weights=weights(experiment.localize.backbone.model),
        text=rules.embed_text.output.text,
        images=[] if language_context() == "none" else rules.embed_images.output.images,
    output:
        localizer="results/{experiment}/localize/localizer.safetensors",
        curves="results/{experiment}/localize/training.csv",
    log:
        "logs/{experiment}/localize/train.log",
    benchmark:
        "results/{experiment}/benchmarks/localize/train.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=1440,
    params:
        settings=settings("localize", without=["maps"]),
        seed=experiment.seed,
        code=code_of("stages.localize.train"),
        root=dataset_root,
        images=lambda wildcards, input: f"--images {input.images}" if input.images else "",
        # No output: Snakemake would delete it when the training is interrupted, and with it the checkpoints.
        work="results/{experiment}/work/localize",
    message:
        "Training the localizer. Follow it with: tail -f {log}"
    shell:
        "python -m stages.localize.train --settings {params.settings:q} --seed {params.seed} --code {params.code}"
        " --index {input.index} --root {params.root:q} --classes {input.classes} --weights {input.weights}"
        " --text {input.text} {params.images} --work {params.work} --curves {output.curves}"
        " --output {output.localizer} &> {log}"


rule make_maps:
    input:
        **dataset(),
        index=rules.make_index.output.index,
        localizer=rules.train_localizer.output.localizer,
        weights=weights(experiment.localize.backbone.model),
    output:
        maps="results/{experiment}/localize/maps/{split}/{shard}.safetensors",
    log:
        "logs/{experiment}/localize/maps/{split}/{shard}.log",
    benchmark:
        "results/{experiment}/benchmarks/localize/maps/{split}/{shard}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=6000,
        runtime=240,
    params:
        settings=settings("localize", without=["training"]),
        root=dataset_root,
        shards=experiment.data.shards,
        code=code_of("stages.localize.make_maps"),
    shell:
        "python -m stages.localize.make_maps --settings {params.settings:q} --index {input.index} --root {params.root:q}"
        " --localizer {input.localizer} --weights {input.weights} --shard {wildcards.shard} --shards {params.shards}"
        " --output {output.maps} &> {log}"
