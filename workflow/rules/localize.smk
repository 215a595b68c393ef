# localize: trains localizers, and turns images into class localization maps. `{localizer}` is empty for the experiment's
# own, and `variants/NAME-SEED/` for those that the tables compare it with.


wildcard_constraints:
    frozen=any_of([*plan.localizers.features, *plan.localizers.map_features]),


# Frozen features use the experiment's seed for every variant and every seed of a table: computed once.
rule freeze_features:
    input:
        **plan.dataset.inputs,
        index=plan.learned_index,
        checked=plan.indexes,
        weights=lambda wildcards: plan.files.weights(plan.localizers.features[wildcards.frozen].backbone.model),
    output:
        features=directory("<results>/localize/features/{frozen}"),
    log:
        "<logs>/localize/features/{frozen}.log",
    benchmark:
        "<benchmarks>/localize/features/{frozen}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **needs(6000, minutes=240, gpu=1),
    params:
        settings=lambda wildcards: plan.localizers.training_json(plan.localizers.features[wildcards.frozen]),
        seed=experiment.seed,
        negatives=negatives(experiment.localize.splits),
        root=dataset_root,
        code=code_of("stages.localize.freeze_features"),
    shell:
        "python -m stages.localize.freeze_features --settings {params.settings:q} --seed {params.seed}"
        " {params.negatives} --index {input.index} --root {params.root:q} --weights {input.weights}"
        " --output {output.features} &> {log}"


rule freeze_map_features:
    input:
        **plan.dataset.inputs,
        index=rules.make_index.output.index,
        checked=plan.indexes,
        weights=lambda wildcards: plan.files.weights(plan.localizers.map_features[wildcards.frozen].backbone.model),
    output:
        features=directory("<results>/localize/map_features/{frozen}/{split}/{shard}"),
    log:
        "<logs>/localize/map_features/{frozen}/{split}/{shard}.log",
    benchmark:
        "<benchmarks>/localize/map_features/{frozen}/{split}/{shard}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **needs(6000, minutes=240, gpu=1),
    params:
        settings=lambda wildcards: plan.localizers.maps_json(plan.localizers.map_features[wildcards.frozen]),
        root=dataset_root,
        shards=experiment.data.shards,
        code=code_of("stages.localize.freeze_map_features"),
    shell:
        "python -m stages.localize.freeze_map_features --settings {params.settings:q} --index {input.index}"
        " --root {params.root:q} --weights {input.weights} --shard {wildcards.shard} --shards {params.shards}"
        " --output {output.features} &> {log}"


rule train_localizer:
    input:
        unpack(lambda wildcards: localizer_of(wildcards).training_inputs),
        **plan.dataset.inputs,
        index=plan.learned_index,
        # Not read here: training starts once the images of every split have passed the checks.
        checked=plan.indexes,
        classes=rules.list_classes.output.classes,
        text=rules.embed_text.output.text,
    output:
        localizer="<results>/localize/{localizer}localizer.safetensors",
        curves="<results>/localize/{localizer}training.csv",
    log:
        "<logs>/localize/{localizer}train.log",
    benchmark:
        "<benchmarks>/localize/{localizer}train.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **needs(8000, minutes=1440, gpu=1),
    params:
        settings=lambda wildcards: plan.localizers.training_json(localizer_of(wildcards).settings),
        seed=lambda wildcards: localizer_of(wildcards).seed,
        code=code_of("stages.localize.train"),
        root=dataset_root,
        negatives=negatives(experiment.localize.splits),
        options=given("images", "backgrounds", "features", "proxy"),
        # Not an output: Snakemake would delete it, and the checkpoints in it, when the training is interrupted.
        work=lambda wildcards: localizer_of(wildcards).work,
    message:
        "Training the localizer. Follow it with: tail -f {log}"
    shell:
        "python -m stages.localize.train --settings {params.settings:q} --seed {params.seed} --code {params.code}"
        " --index {input.index} --root {params.root:q} --classes {input.classes} --weights {input.weights}"
        " --text {input.text} {params.negatives} {params.options} --gpus {resources.gpu} --work {params.work}"
        " --curves {output.curves} --output {output.localizer} &> {log}"


rule make_maps:
    input:
        unpack(lambda wildcards: localizer_of(wildcards).map_inputs(wildcards.split, wildcards.shard)),
        **plan.dataset.inputs,
        index=rules.make_index.output.index,
    output:
        maps="<results>/localize/{localizer}maps/{split}/{shard}.safetensors",
    log:
        "<logs>/localize/{localizer}maps/{split}/{shard}.log",
    benchmark:
        "<benchmarks>/localize/{localizer}maps/{split}/{shard}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **needs(6000, minutes=240, gpu=1),
    params:
        settings=lambda wildcards: plan.localizers.maps_json(localizer_of(wildcards).settings),
        options=given("features"),
        size=longest_side,
        negatives=lambda wildcards: negatives([wildcards.split]),
        root=dataset_root,
        shards=experiment.data.shards,
        code=code_of("stages.localize.make_maps"),
    shell:
        "python -m stages.localize.make_maps --settings {params.settings:q} --index {input.index} --root {params.root:q}"
        " --localizer {input.localizer} {params.negatives} {params.options} {params.size} --shard {wildcards.shard}"
        " --shards {params.shards} --output {output.maps} &> {log}"


rule measure_localizers:
    input:
        **plan.dataset.inputs,
        index=plan.files.index(experiment.compare.split),
        localizers=[localizer.path for localizer in plan.tables["compare_localizers"].trained],
    output:
        speeds="<results>/localize/speeds.json",
    log:
        "<logs>/localize/speeds.log",
    benchmark:
        "<benchmarks>/localize/speeds.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **needs(8000, minutes=60, gpu=1),
    params:
        settings=plan.measured_json,
        names=[row.name for row in plan.tables["compare_localizers"].rows],
        root=dataset_root,
        code=code_of("stages.localize.measure"),
    shell:
        "python -m stages.localize.measure --settings {params.settings:q} --index {input.index} --root {params.root:q}"
        " --names {params.names} --localizers {input.localizers} --output {output.speeds} &> {log}"
