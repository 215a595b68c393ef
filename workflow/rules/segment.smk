# segment: trains the segmenter on masks, and predicts. Supervision is `pseudo_masks`, or `true_masks` for the upper bound;
# a view is `predictions`, or `told`, for which the tags of the images are known.
MODEL_SETTINGS = [
    *("model", "backbone", "output_stride", "decoder_channels", "frozen_stages", "frozen_norm", "loss"),
    *("class_weights", "crop"),
]
INFERENCE_SETTINGS = ["test_scales", "test_flip", "test_fusion", "test_window", "test_crf"]


wildcard_constraints:
    view="predictions|told",


# Built and run once before anything is trained, so that an overlay that does not fit is told at the start. It comes first
# by its priority, not as an input of the localizer's training: another segmenter must not train that again, and by
# `ancient` Snakemake would overlook what else has changed of it.
rule resolve_model:
    input:
        classes=rules.list_classes.output.classes,
        overlay=relative(overlay_path(experiment.segment.model)),
    output:
        model="results/{experiment}/segment/model.json",
    log:
        "logs/{experiment}/segment/model.log",
    benchmark:
        "results/{experiment}/benchmarks/segment/model.tsv"
    priority: 100
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(4000),
        runtime=10,
    params:
        settings=settings("segment", only=MODEL_SETTINGS),
        code=code_of("stages.segment.resolve_model"),
    shell:
        "python -m stages.segment.resolve_model --settings {params.settings:q} --classes {input.classes}"
        " --output {output.model} &> {log}"


rule train_segmenter:
    input:
        **dataset(),
        index="results/{experiment}/data/train.csv",
        # Not read here: training starts once the images of every split were found good.
        checked=expand("results/{{experiment}}/data/{split}.csv", split=SPLITS),
        classes=rules.list_classes.output.classes,
        model=rules.resolve_model.output.model,
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
        mem_mb=memory(8000),
        runtime=1440,
    params:
        settings=settings(
            "segment", without=["predict", *INFERENCE_SETTINGS, *(name for name in MODEL_SETTINGS if name != "crop")]
        ),
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
        " --index {input.index} --root {params.root:q} --classes {input.classes} --model {input.model}"
        " --weights {input.weights} {params.masks} --gpus {resources.gpu} --work {params.work}"
        " --curves {output.curves} --output {output.segmenter} &> {log}"


rule predict:
    input:
        **dataset(),
        index=rules.make_index.output.index,
        classes=rules.list_classes.output.classes,
        segmenter=rules.train_segmenter.output.segmenter,
    output:
        predictions=directory("results/{experiment}/segment/{supervision}/{view}/{split}/{shard}"),
    log:
        "logs/{experiment}/segment/{supervision}/{view}/{split}/{shard}.log",
    benchmark:
        "results/{experiment}/benchmarks/segment/{supervision}/{view}/{split}/{shard}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=memory(6000),
        runtime=240,
    params:
        settings=settings("segment", only=INFERENCE_SETTINGS),
        told=lambda wildcards: "--told" if wildcards.view == "told" else "",
        root=dataset_root,
        shards=experiment.data.shards,
        code=code_of("stages.segment.predict_shard"),
    shell:
        "python -m stages.segment.predict_shard --settings {params.settings:q} --index {input.index} --root {params.root:q}"
        " --classes {input.classes} --segmenter {input.segmenter} --shard {wildcards.shard} --shards {params.shards}"
        " {params.told} --processes {threads} --output {output.predictions} &> {log}"
