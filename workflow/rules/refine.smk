# refine: maps become pseudo masks. Learned affinities come from sure regions of the training images.


wildcard_constraints:
    regions="[0-9a-f]+",
    affinity="[A-Za-z0-9_.-]+",
    threshold="oracle|auto-[0-9a-f]+",
    refiner="[A-Za-z0-9_-]+",


rule make_sure_regions:
    input:
        **dataset(),
        index="results/{experiment}/data/train.csv",
        maps="results/{experiment}/localize/maps/train/{shard}.safetensors",
    output:
        regions=directory(f"{REFINE}/regions/{{regions}}/{{shard}}"),
    log:
        "logs/{experiment}/refine/regions/{regions}/{shard}.log",
    benchmark:
        "results/{experiment}/benchmarks/refine/regions/{regions}/{shard}.tsv"
    conda:
        "../../environment.yml"
    # The CRF has one thread of its own, so this is the number of processes.
    threads: 8
    resources:
        gpu=0,
        mem_mb=memory(4000),
        runtime=480,
    params:
        settings=lambda wildcards: with_affinity(
            REGIONS[wildcards.regions], without=["backbone", "strides", "channels", "radius", "training"]
        ),
        root=dataset_root,
        code=code_of("stages.refine.make_sure_regions"),
    shell:
        "python -m stages.refine.make_sure_regions --settings {params.settings:q} --index {input.index}"
        " --root {params.root:q} --maps {input.maps} --processes {threads} --output {output.regions} &> {log}"


rule train_affinity:
    input:
        **dataset(),
        index="results/{experiment}/data/train.csv",
        regions=lambda wildcards: expand(
            rules.make_sure_regions.output.regions,
            regions=regions_name(AFFINITIES[wildcards.affinity]),
            shard=SHARDS,
            allow_missing=True,
        ),
        weights=lambda wildcards: weights(AFFINITIES[wildcards.affinity].backbone),
    output:
        affinity=f"{REFINE}/affinity/{{affinity}}/affinity.safetensors",
        curves=f"{REFINE}/affinity/{{affinity}}/training.csv",
    log:
        "logs/{experiment}/refine/affinity/{affinity}.log",
    benchmark:
        "results/{experiment}/benchmarks/refine/affinity/{affinity}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=memory(8000),
        runtime=1440,
    params:
        settings=lambda wildcards: with_affinity(AFFINITIES[wildcards.affinity]),
        seed=experiment.seed,
        root=dataset_root,
        code=code_of("stages.refine.train_affinity"),
        # No output: Snakemake would delete it when the training is interrupted, and with it the checkpoints.
        work="results/{experiment}/work/refine/{affinity}",
    message:
        "Training the affinity network. Follow it with: tail -f {log}"
    shell:
        "python -m stages.refine.train_affinity --settings {params.settings:q} --seed {params.seed}"
        " --code {params.code} --index {input.index} --root {params.root:q} --weights {input.weights}"
        " --regions {input.regions} --work {params.work} --curves {output.curves} --output {output.affinity} &> {log}"


rule choose_threshold:
    input:
        unpack(threshold_files),
        **dataset(),
        index="results/{experiment}/data/train.csv",
    output:
        threshold=f"{REFINE}/threshold/{{threshold}}.json",
    log:
        "logs/{experiment}/refine/threshold/{threshold}.log",
    benchmark:
        "results/{experiment}/benchmarks/refine/threshold/{threshold}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=0,
        mem_mb=memory(4000),
        runtime=240,
    params:
        settings=lambda wildcards: refine_json(
            THRESHOLDS[wildcards.threshold], without=["affinity", "walk", "ignore_band", "crf"]
        ),
        options=threshold_options,
        root=dataset_root,
        code=code_of("stages.refine.choose_threshold"),
    shell:
        "python -m stages.refine.choose_threshold --settings {params.settings:q} --index {input.index}"
        " --root {params.root:q} {params.options} --processes {threads}"
        " --output {output.threshold} &> {log}"


rule make_masks:
    input:
        **dataset(),
        **refining_files(OWN_REFINER),
        index=rules.make_index.output.index,
        maps=rules.make_maps.output.maps,
    output:
        masks=directory("results/{experiment}/refine/masks/{split}/{shard}"),
    log:
        "logs/{experiment}/refine/masks/{split}/{shard}.log",
    benchmark:
        "results/{experiment}/benchmarks/refine/masks/{split}/{shard}.tsv"
    conda:
        "../../environment.yml"
    # The CRF has one thread of its own, so this is the number of processes.
    threads: 8
    resources:
        gpu=1 if OWN_REFINER.affinity.kind != "none" else 0,
        mem_mb=memory(6000),
        runtime=240,
    params:
        settings=refining_settings(OWN_REFINER),
        options=lambda wildcards, input: refining_options(OWN_REFINER, input),
        root=dataset_root,
        code=code_of("stages.refine.make_masks"),
    shell:
        "python -m stages.refine.make_masks --settings {params.settings:q} {params.options} --index {input.index}"
        " --root {params.root:q} --maps {input.maps} --processes {threads} --output {output.masks} &> {log}"


# What the segmenter learns from where `refine.ignore_band` is set; scored are the masks without it.
use rule make_masks as make_banded_masks with:
    input:
        **dataset(),
        **refining_files(OWN_REFINER),
        index="results/{experiment}/data/train.csv",
        maps="results/{experiment}/localize/maps/train/{shard}.safetensors",
    output:
        masks=directory("results/{experiment}/refine/banded/{shard}"),
    log:
        "logs/{experiment}/refine/banded/{shard}.log",
    benchmark:
        "results/{experiment}/benchmarks/refine/banded/{shard}.tsv"
    params:
        settings=refining_settings(OWN_REFINER),
        options=lambda wildcards, input: f"{refining_options(OWN_REFINER, input)} --band",
        root=dataset_root,
        code=code_of("stages.refine.make_masks"),
