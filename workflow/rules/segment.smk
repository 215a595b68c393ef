# segment: trains segmenters on masks, and predicts. `{segmenter}` is the supervision, `pseudo_masks` or `true_masks` (the
# bound), `pseudo_masks-roundN` from the second round on, and `variants/SUPERVISION-SEED` for other seeds. A view is `predictions`; `told`, where the tags of the
# images are known; or `compared`, with which pseudo masks are compared: told the tags of images that have some.
VIEWS = {"predictions": "", "told": "--told", "compared": "--told --untagged-free"}
# The training settings that are part of the model.
OF_MODEL = ["training.loss", "training.class_weights"]


wildcard_constraints:
    view=any_of(VIEWS),


# Built and run once before anything is trained, so that an overlay that does not fit is reported at the start. It runs
# first because of its priority, not as an input of the localizer's training: a different segmenter must not retrain the
# localizer, and with `ancient` Snakemake would miss its other changes.
rule resolve_model:
    input:
        classes=rules.list_classes.output.classes,
        overlay=relative(overlay_path(experiment.segment.network.model)),
    output:
        model="<results>/segment/model.json",
    log:
        "<logs>/segment/model.log",
    benchmark:
        "<benchmarks>/segment/model.tsv"
    priority: 100
    conda:
        "../../environment.yml"
    resources:
        **needs(4000, minutes=10),
    params:
        settings=settings("segment", only=["network", "training.crop", *OF_MODEL]),
        code=code_of("stages.segment.resolve_model"),
    shell:
        "python -m stages.segment.resolve_model --settings {params.settings:q} --classes {input.classes}"
        " --output {output.model} &> {log}"


# The training masks of a further round are what the round before predicts for train, told the tags. With masks mended by
# hand, these take their place here too.
rule mend_relabelled:
    input:
        made=lambda wildcards: plan.segmenters.relabelled(segmenter_of(wildcards), wildcards.shard),
        mended=rules.read_mended.output.masks,
    output:
        masks=directory("<results>/segment/{segmenter}/with_mended/{shard}"),
    log:
        "<logs>/segment/{segmenter}/with_mended/{shard}.log",
    benchmark:
        "<benchmarks>/segment/{segmenter}/with_mended/{shard}.tsv"
    conda:
        "../../environment.yml"
    resources:
        **needs(1000, minutes=30),
    params:
        code=code_of("stages.refine.add_mended"),
    shell:
        "python -m stages.refine.add_mended --masks {input.made} --mended {input.mended} --output {output.masks} &> {log}"


rule train_segmenter:
    input:
        **plan.dataset.inputs,
        index=plan.files.index("train"),
        # Not read here: training starts once the images of every split have passed the checks.
        checked=plan.indexes,
        classes=rules.list_classes.output.classes,
        model=rules.resolve_model.output.model,
        weights=plan.files.weights(experiment.segment.network.backbone),
        masks=lambda wildcards: plan.segmenters.training_masks(segmenter_of(wildcards)),
    output:
        segmenter="<results>/segment/{segmenter}/segmenter.safetensors",
        curves="<results>/segment/{segmenter}/training.csv",
    log:
        "<logs>/segment/{segmenter}/train.log",
    benchmark:
        "<benchmarks>/segment/{segmenter}/train.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **needs(10000, minutes=1440, gpu=1),
    params:
        settings=settings("segment", without=["network", "inference", "predict", "rounds", *OF_MODEL]),
        seed=lambda wildcards: segmenter_of(wildcards).seed,
        code=code_of("stages.segment.train"),
        root=dataset_root,
        size=longest_side,
        masks=lambda wildcards, input: f"--masks {input.masks}" if input.masks else "",
        # Not an output: Snakemake would delete it, and the checkpoints in it, when the training is interrupted.
        work=lambda wildcards: f"{plan.files.results}/work/segment/{wildcards.segmenter}",
    message:
        "Training the segmenter on {wildcards.segmenter}. Follow it with: tail -f {log}"
    shell:
        "python -m stages.segment.train --settings {params.settings:q} --seed {params.seed} --code {params.code}"
        " --index {input.index} --root {params.root:q} --classes {input.classes} --model {input.model}"
        " --weights {input.weights} {params.masks} {params.size} --gpus {resources.gpu} --work {params.work}"
        " --curves {output.curves} --output {output.segmenter} &> {log}"


rule predict:
    input:
        **plan.dataset.inputs,
        index=rules.make_index.output.index,
        classes=rules.list_classes.output.classes,
        segmenter=rules.train_segmenter.output.segmenter,
    output:
        predictions=directory("<results>/segment/{segmenter}/{view}/{split}/{shard}"),
    log:
        "<logs>/segment/{segmenter}/{view}/{split}/{shard}.log",
    benchmark:
        "<benchmarks>/segment/{segmenter}/{view}/{split}/{shard}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        # Besides the segmenter, the processes of the CRF.
        **needs(4000, minutes=240, gpu=1, each=crf_process(1200)),
    params:
        settings=settings("segment", only=["inference"]),
        told=lambda wildcards: VIEWS[wildcards.view],
        root=dataset_root,
        size=longest_side,
        shards=experiment.data.shards,
        code=code_of("stages.segment.predict_shard"),
    shell:
        "python -m stages.segment.predict_shard --settings {params.settings:q} --index {input.index} --root {params.root:q}"
        " --classes {input.classes} --segmenter {input.segmenter} --shard {wildcards.shard} --shards {params.shards}"
        " {params.told} {params.size} --processes {threads} --output {output.predictions} &> {log}"
