# refine: turns maps into pseudo masks. Affinities are learned from sure regions of the training images. `{refiner}` is `masks`
# for the experiment's own, and `variants/NAME` for the rows of compare_refiners.


wildcard_constraints:
    regions=any_of(plan.refiners.by_regions),
    affinity=any_of(plan.refiners.by_affinity),
    threshold=any_of(plan.refiners.by_threshold),


rule make_sure_regions:
    input:
        **plan.dataset.inputs,
        index=plan.files.index("train"),
        maps=lambda wildcards: plan.refiners.by_regions[wildcards.regions].localizer.maps_of("train", wildcards.shard),
    output:
        regions=directory("<results>/refine/regions/{regions}/{shard}"),
    log:
        "<logs>/refine/regions/{regions}/{shard}.log",
    benchmark:
        "<benchmarks>/refine/regions/{regions}/{shard}.tsv"
    conda:
        "../../environment.yml"
    # The CRF has one thread of its own, so this is the number of processes.
    threads: 8
    resources:
        **needs(400, minutes=480, each=crf_process(600)),
    params:
        settings=lambda wildcards: plan.refiners.regions_json(plan.refiners.by_regions[wildcards.regions]),
        root=dataset_root,
        code=code_of("stages.refine.make_sure_regions"),
    shell:
        "python -m stages.refine.make_sure_regions --settings {params.settings:q} --index {input.index}"
        " --root {params.root:q} --maps {input.maps} --processes {threads} --output {output.regions} &> {log}"


rule train_affinity:
    input:
        **plan.dataset.inputs,
        index=plan.files.index("train"),
        regions=lambda wildcards: plan.refiners.by_affinity[wildcards.affinity].region_files,
        weights=lambda wildcards: plan.files.weights(plan.refiners.by_affinity[wildcards.affinity].backbone),
    output:
        affinity="<results>/refine/affinity/{affinity}/affinity.safetensors",
        curves="<results>/refine/affinity/{affinity}/training.csv",
    log:
        "<logs>/refine/affinity/{affinity}.log",
    benchmark:
        "<benchmarks>/refine/affinity/{affinity}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **needs(12000, minutes=1440, gpu=1),
    params:
        settings=lambda wildcards: plan.refiners.affinity_json(plan.refiners.by_affinity[wildcards.affinity]),
        seed=lambda wildcards: plan.refiners.by_affinity[wildcards.affinity].localizer.seed,
        negatives=negatives(["train"]),
        root=dataset_root,
        code=code_of("stages.refine.train_affinity"),
        # Not an output: Snakemake would delete it, and the checkpoints in it, when the training is interrupted.
        work=lambda wildcards: f"{plan.files.results}/work/refine/{wildcards.affinity}",
    message:
        "Training the affinity network. Follow it with: tail -f {log}"
    shell:
        "python -m stages.refine.train_affinity --settings {params.settings:q} --seed {params.seed} {params.negatives}"
        " --code {params.code} --index {input.index} --root {params.root:q} --weights {input.weights}"
        " --regions {input.regions} --work {params.work} --curves {output.curves} --output {output.affinity} &> {log}"


rule choose_threshold:
    input:
        unpack(lambda wildcards: plan.refiners.threshold_inputs(wildcards.threshold)),
        **plan.dataset.inputs,
        index=plan.files.index("train"),
    output:
        threshold="<results>/refine/threshold/{threshold}.json",
    log:
        "<logs>/refine/threshold/{threshold}.log",
    benchmark:
        "<benchmarks>/refine/threshold/{threshold}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **needs(400, minutes=240, each=crf_process(2000)),
    params:
        settings=lambda wildcards: plan.refiners.threshold_json(plan.refiners.by_threshold[wildcards.threshold]),
        options=given("score", "maps"),
        root=dataset_root,
        code=code_of("stages.refine.choose_threshold"),
    shell:
        "python -m stages.refine.choose_threshold --settings {params.settings:q} --index {input.index}"
        " --root {params.root:q} {params.options} --processes {threads}"
        " --output {output.threshold} &> {log}"


rule make_masks:
    input:
        unpack(lambda wildcards: refiner_of(wildcards).inputs(wildcards.split, wildcards.shard)),
        **plan.dataset.inputs,
    output:
        masks=directory("<results>/refine/{refiner}/{split}/{shard}"),
    log:
        "<logs>/refine/{refiner}/{split}/{shard}.log",
    benchmark:
        "<benchmarks>/refine/{refiner}/{split}/{shard}.tsv"
    conda:
        "../../environment.yml"
    # The CRF has one thread of its own, so this is the number of processes.
    threads: 8
    resources:
        # Besides the processes, the walk.
        **needs(2000, minutes=240, gpu=lambda wildcards: refiner_of(wildcards).gpus, each=crf_process(1200)),
    params:
        settings=lambda wildcards: plan.refiners.masks_json(refiner_of(wildcards)),
        options=given("affinity", "threshold"),
        threshold=lambda wildcards: refiner_of(wildcards).threshold_number,
        localize=lambda wildcards: plan.refiners.walked_option(refiner_of(wildcards)),
        band="",
        root=dataset_root,
        code=code_of("stages.refine.make_masks"),
    shell:
        "python -m stages.refine.make_masks --settings {params.settings:q} {params.options} {params.threshold}"
        " {params.localize} {params.band}"
        " --index {input.index} --root {params.root:q} --maps {input.maps} --processes {threads} --output {output.masks}"
        " &> {log}"


# The segmenter's training masks if `refine.ignore_band` or `ignore_below` is set; the scored masks are those without.
use rule make_masks as make_banded_masks with:
    input:
        unpack(lambda wildcards: plan.refiners.own.inputs("train", wildcards.shard)),
        **plan.dataset.inputs,
    output:
        masks=directory("<results>/refine/banded/{shard}"),
    log:
        "<logs>/refine/banded/{shard}.log",
    benchmark:
        "<benchmarks>/refine/banded/{shard}.tsv"
    resources:
        gpu=plan.refiners.own.gpus,
    params:
        settings=plan.refiners.banded_json(plan.refiners.own),
        threshold=plan.refiners.own.threshold_number,
        localize=plan.refiners.walked_option(plan.refiners.own),
        band="--band",


# Masks mended by hand. Read before anything that takes long, because of the priority, so that one that does not fit is
# reported at the start; what makes pseudo masks does not depend on them.
rule read_mended:
    input:
        **plan.dataset.inputs,
        indexes=plan.indexes,
        left_out="<results>/data/left_out/train.csv",
        classes=rules.list_classes.output.classes,
    output:
        masks=directory("<results>/refine/mended"),
        listed="<results>/refine/mended.csv",
    log:
        "<logs>/refine/mended.log",
    benchmark:
        "<benchmarks>/refine/mended.tsv"
    priority: 100
    conda:
        "../../environment.yml"
    resources:
        **needs(2000, minutes=60),
    params:
        settings=lambda wildcards: plan.mended.settings_json,
        content=lambda wildcards: plan.mended.content,
        root=dataset_root,
        code=code_of("stages.refine.read_mended"),
    shell:
        "python -m stages.refine.read_mended --settings {params.settings:q} --indexes {input.indexes}"
        " --left-out {input.left_out} --root {params.root:q} --classes {input.classes} --list {output.listed}"
        " --output {output.masks} &> {log}"


# In the place of the pseudo masks of train: `learned` for the segmenter, `scored` with a class in every pixel.
rule add_mended:
    input:
        made=lambda wildcards: plan.mended.made(wildcards.kind, wildcards.shard),
        mended=rules.read_mended.output.masks,
    output:
        masks=directory("<results>/refine/with_mended/{kind}/{shard}"),
    log:
        "<logs>/refine/with_mended/{kind}/{shard}.log",
    benchmark:
        "<benchmarks>/refine/with_mended/{kind}/{shard}.tsv"
    wildcard_constraints:
        kind=any_of(MENDED_KINDS),
    conda:
        "../../environment.yml"
    resources:
        **needs(1000, minutes=30),
    params:
        fill=lambda wildcards: "--fill" if wildcards.kind == "scored" else "",
        code=code_of("stages.refine.add_mended"),
    shell:
        "python -m stages.refine.add_mended --masks {input.made} --mended {input.mended} {params.fill}"
        " --output {output.masks} &> {log}"
