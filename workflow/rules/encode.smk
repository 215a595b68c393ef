# encode: frozen knowledge. Backbone weights, class text embeddings, and an embedding of each training image.


rule load_weights:
    input:
        lambda wildcards: plan.weights_file(wildcards.model),
    output:
        weights="<results>/encode/weights/{model}.safetensors",
    log:
        "<logs>/encode/weights/{model}.log",
    benchmark:
        "<benchmarks>/encode/weights/{model}.tsv"
    conda:
        "../../environment.yml"
    resources:
        **needs(4000, minutes=60),
    params:
        settings=lambda wildcards: plan.weights_json(wildcards.model),
        backbones=lambda wildcards: plan.localizers.backbones_json(wildcards.model),
        code=code_of("stages.encode.load_weights"),
    shell:
        "python -m stages.encode.load_weights --settings {params.settings:q} --model {wildcards.model}"
        " --backbones {params.backbones:q} --output {output.weights} &> {log}"


# Trained only on the images of train and their tags, never on a true mask.
rule train_clip:
    input:
        **plan.language.training_inputs,
    output:
        clip="<results>/encode/clip.safetensors",
    log:
        "<logs>/encode/clip.log",
    benchmark:
        "<benchmarks>/encode/clip.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **needs(6000, minutes=60, gpu=1),
    params:
        settings=settings(
            "encode", only=["clip", "templates", *(["synonyms"] if plan.language.learns_from_images else [])]
        ),
        sources=given("cutouts", "index"),
        root=f"--root {shlex.quote(plan.dataset.root)}" if plan.language.learns_from_images else "",
        seed=experiment.seed,
        code=code_of("stages.encode.train_clip"),
    shell:
        "python -m stages.encode.train_clip --settings {params.settings:q} --seed {params.seed} {params.sources}"
        " {params.root} --weights {input.weights} --output {output.clip} &> {log}"


rule embed_text:
    input:
        **plan.language.inputs,
        classes=rules.list_classes.output.classes,
    output:
        text="<results>/encode/text.safetensors",
    log:
        "<logs>/encode/text.log",
    benchmark:
        "<benchmarks>/encode/text.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        **needs(6000, minutes=30),
    params:
        settings=settings("encode", only=["clip", "templates", "synonyms"]),
        clip=given("clip", "weights"),
        code=code_of("stages.encode.embed_text"),
    shell:
        "python -m stages.encode.embed_text --settings {params.settings:q} --classes {input.classes} {params.clip}"
        " --output {output.text} &> {log}"


# For the localizer `clip_es` alone, so a file of their own: more of them make nothing else again.
rule embed_backgrounds:
    input:
        **plan.language.inputs,
    output:
        backgrounds="<results>/encode/backgrounds.safetensors",
    log:
        "<logs>/encode/backgrounds.log",
    benchmark:
        "<benchmarks>/encode/backgrounds.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        **needs(6000, minutes=30),
    params:
        settings=settings("encode", only=["clip", "templates", "backgrounds"]),
        clip=given("clip", "weights"),
        code=code_of("stages.encode.embed_backgrounds"),
    shell:
        "python -m stages.encode.embed_backgrounds --settings {params.settings:q} {params.clip}"
        " --output {output.backgrounds} &> {log}"


rule embed_images:
    input:
        **plan.dataset.inputs,
        **plan.language.inputs,
        index=plan.learned_index,
    output:
        embeddings="<results>/encode/{source}_embeddings.safetensors",
    log:
        "<logs>/encode/{source}_embeddings.log",
    benchmark:
        "<benchmarks>/encode/{source}_embeddings.tsv"
    wildcard_constraints:
        source="image|caption",
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **needs(6000, minutes=240, gpu=1),
    params:
        # How captions are made does not affect the embedding of an image.
        settings=lambda wildcards: settings(
            "encode", only=["clip", "batch_size", *(["captions"] if wildcards.source == "caption" else [])]
        )(wildcards),
        root=dataset_root,
        clip=given("clip", "weights"),
        code=code_of("stages.encode.embed_images"),
    shell:
        "python -m stages.encode.embed_images --settings {params.settings:q} --source {wildcards.source}"
        " --index {input.index} --root {params.root:q} {params.clip} --output {output.embeddings} &> {log}"


# The training-free localizers need CLIP's image tower itself.
rule save_image_tower:
    input:
        **plan.language.inputs,
    output:
        tower="<results>/encode/image_tower.safetensors",
    log:
        "<logs>/encode/image_tower.log",
    benchmark:
        "<benchmarks>/encode/image_tower.tsv"
    conda:
        "../../environment.yml"
    resources:
        **needs(6000, minutes=30),
    params:
        settings=settings("encode", only=["clip"]),
        clip=given("clip", "weights"),
        code=code_of("stages.encode.save_image_tower"),
    shell:
        "python -m stages.encode.save_image_tower --settings {params.settings:q} {params.clip} --output {output.tower}"
        " &> {log}"
