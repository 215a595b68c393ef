# localize: trains the localizer, and turns images into class localization maps. Variants of it, for the tables of
# compare.smk, go through the same rules under other paths.


rule freeze_features:
    input:
        **dataset(),
        index=LEARNED_INDEX,
        checked=expand("results/{{experiment}}/data/{split}.csv", split=SPLITS),
        weights=lambda wildcards: weights(FROZEN[wildcards.frozen].backbone.model),
    output:
        features=directory("results/{experiment}/localize/features/{frozen}"),
    log:
        "logs/{experiment}/localize/features/{frozen}.log",
    benchmark:
        "results/{experiment}/benchmarks/localize/features/{frozen}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=memory(6000),
        runtime=240,
    params:
        settings=lambda wildcards: localize_json(FROZEN[wildcards.frozen], without=FOR_TRAINING),
        seed=experiment.seed,
        root=dataset_root,
        code=code_of("stages.localize.freeze_features"),
    shell:
        "python -m stages.localize.freeze_features --settings {params.settings:q} --seed {params.seed}"
        " --index {input.index} --root {params.root:q} --weights {input.weights} --output {output.features} &> {log}"


rule freeze_map_features:
    input:
        **dataset(),
        index=rules.make_index.output.index,
        checked=expand("results/{{experiment}}/data/{split}.csv", split=SPLITS),
        weights=lambda wildcards: weights(FROZEN_FOR_MAPS[wildcards.frozen].backbone.model),
    output:
        features=directory("results/{experiment}/localize/map_features/{frozen}/{split}/{shard}"),
    log:
        "logs/{experiment}/localize/map_features/{frozen}/{split}/{shard}.log",
    benchmark:
        "results/{experiment}/benchmarks/localize/map_features/{frozen}/{split}/{shard}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=memory(6000),
        runtime=240,
    params:
        settings=lambda wildcards: localize_json(FROZEN_FOR_MAPS[wildcards.frozen], without=FOR_MAPS),
        root=dataset_root,
        shards=experiment.data.shards,
        code=code_of("stages.localize.freeze_map_features"),
    shell:
        "python -m stages.localize.freeze_map_features --settings {params.settings:q} --index {input.index}"
        " --root {params.root:q} --weights {input.weights} --shard {wildcards.shard} --shards {params.shards}"
        " --output {output.features} &> {log}"


rule train_localizer:
    input:
        **dataset(),
        **training_files(OWN),
        index=LEARNED_INDEX,
        # Not read here: training starts once the images of every split were found good.
        checked=expand("results/{{experiment}}/data/{split}.csv", split=SPLITS),
        classes=rules.list_classes.output.classes,
        text=rules.embed_text.output.text,
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
        mem_mb=memory(8000),
        runtime=1440,
    params:
        settings=localize_json(OWN, without=FOR_TRAINING),
        seed=experiment.seed,
        code=code_of("stages.localize.train"),
        root=dataset_root,
        options=training_options,
        # No output: Snakemake would delete it when the training is interrupted, and with it the checkpoints.
        work="results/{experiment}/work/localize/own",
    message:
        "Training the localizer. Follow it with: tail -f {log}"
    shell:
        "python -m stages.localize.train --settings {params.settings:q} --seed {params.seed} --code {params.code}"
        " --index {input.index} --root {params.root:q} --classes {input.classes} --weights {input.weights}"
        " --text {input.text} {params.options} --gpus {resources.gpu} --work {params.work} --curves {output.curves}"
        " --output {output.localizer} &> {log}"


rule make_maps:
    input:
        **dataset(),
        **map_features(OWN),
        index=rules.make_index.output.index,
        localizer=rules.train_localizer.output.localizer,
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
        mem_mb=memory(6000),
        runtime=240,
    params:
        settings=localize_json(OWN, without=FOR_MAPS),
        options=map_options,
        root=dataset_root,
        shards=experiment.data.shards,
        code=code_of("stages.localize.make_maps"),
    shell:
        "python -m stages.localize.make_maps --settings {params.settings:q} --index {input.index} --root {params.root:q}"
        " --localizer {input.localizer} {params.options} --shard {wildcards.shard} --shards {params.shards}"
        " --output {output.maps} &> {log}"
