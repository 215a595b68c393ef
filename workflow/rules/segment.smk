# segment: trains DeepLab on masks, and predicts. Supervision is `pseudo_masks`, or `true_masks` for the upper bound.


rule train_segmenter:
    input:
        **dataset(),
        index="results/{experiment}/data/train.csv",
        # Not read here: training starts once the images of every split were found good.
        checked=expand("results/{{experiment}}/data/{split}.csv", split=SPLITS),
        classes=rules.list_classes.output.classes,
        weights=weights(experiment.segment.backbone),
        masks=lambda wildcards: training_masks(wildcards),
    output:
        segmenter="results/{experiment}/segment/{supervision}/segmenter.safetensors",
        curves="results/{experiment}/segment/{supervision}/training.csv",
    log:
        "logs/{experiment}/segment/{supervision}/train.log",
    benchmark:
        "results/{experiment}/benchmarks/segment/{supervision}/train.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=1440,
    params:
        settings=settings("segment", without=["test_scales", "test_flip", "predict"]),
        seed=experiment.seed,
        code=code_of("stages.segment.train"),
        root=dataset_root,
        masks=lambda wildcards, input: f"--masks {input.masks}" if input.masks else "",
        # No output: Snakemake would delete it when the training is interrupted, and with it the checkpoints.
        work="results/{experiment}/work/segment/{supervision}",
    message:
        "Training the segmenter on {wildcards.supervision}. Follow it with: tail -f {log}"
    shell:
        "python -m stages.segment.train --settings {params.settings:q} --seed {params.seed} --code {params.code}"
        " --index {input.index} --root {params.root:q} --classes {input.classes} --weights {input.weights}"
        " {params.masks} --work {params.work} --curves {output.curves} --output {output.segmenter} &> {log}"


rule predict:
    input:
        **dataset(),
        index=rules.make_index.output.index,
        classes=rules.list_classes.output.classes,
        segmenter=rules.train_segmenter.output.segmenter,
    output:
        predictions=directory("results/{experiment}/segment/{supervision}/predictions/{split}/{shard}"),
    log:
        "logs/{experiment}/segment/{supervision}/predictions/{split}/{shard}.log",
    benchmark:
        "results/{experiment}/benchmarks/segment/{supervision}/predictions/{split}/{shard}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=6000,
        runtime=240,
    params:
        settings=settings("segment", only=["test_scales", "test_flip"]),
        root=dataset_root,
        shards=experiment.data.shards,
        code=code_of("stages.segment.predict"),
    shell:
        "python -m stages.segment.predict --settings {params.settings:q} --index {input.index} --root {params.root:q}"
        " --classes {input.classes} --segmenter {input.segmenter} --shard {wildcards.shard} --shards {params.shards}"
        " --output {output.predictions} &> {log}"
