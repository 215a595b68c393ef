# encode: frozen knowledge. Backbone weights, class text embeddings, and an embedding of each training image.


rule load_weights:
    input:
        weights_file,
    output:
        weights="results/{experiment}/encode/weights/{model}.safetensors",
    log:
        "logs/{experiment}/encode/weights/{model}.log",
    benchmark:
        "results/{experiment}/benchmarks/encode/weights/{model}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(4000),
        runtime=60,
    params:
        # Only this model's entry: naming one more model must not load the others again.
        settings=lambda wildcards: weights_setting(wildcards.model),
        code=code_of("stages.encode.load_weights"),
    shell:
        "python -m stages.encode.load_weights --settings {params.settings:q} --model {wildcards.model}"
        " --output {output.weights} &> {log}"


# Only the images of train and their tags are learned from, never a true mask.
rule train_clip:
    input:
        **tower_sources(),
        weights=weights(experiment.encode.clip.image_tower) if experiment.encode.clip.kind == "towers" else [],
    output:
        clip="results/{experiment}/encode/clip.safetensors",
    log:
        "logs/{experiment}/encode/clip.log",
    benchmark:
        "results/{experiment}/benchmarks/encode/clip.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=memory(6000),
        runtime=60,
    params:
        settings=settings("encode", only=["clip", "templates", *(["synonyms"] if "images" in LEARNS_FROM else [])]),
        sources=tower_options,
        seed=experiment.seed,
        code=code_of("stages.encode.train_clip"),
    shell:
        "python -m stages.encode.train_clip --settings {params.settings:q} --seed {params.seed} {params.sources}"
        " --weights {input.weights} --output {output.clip} &> {log}"


rule embed_text:
    input:
        **clip_files(),
        classes=rules.list_classes.output.classes,
    output:
        text="results/{experiment}/encode/text.safetensors",
    log:
        "logs/{experiment}/encode/text.log",
    benchmark:
        "results/{experiment}/benchmarks/encode/text.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        gpu=0,
        mem_mb=memory(6000),
        runtime=30,
    params:
        settings=settings("encode", only=["clip", "templates", "synonyms"]),
        clip=clip_options,
        code=code_of("stages.encode.embed_text"),
    shell:
        "python -m stages.encode.embed_text --settings {params.settings:q} --classes {input.classes} {params.clip}"
        " --output {output.text} &> {log}"


rule embed_images:
    input:
        **dataset(),
        **clip_files(),
        index=LEARNED_INDEX,
    output:
        embeddings="results/{experiment}/encode/{source}_embeddings.safetensors",
    log:
        "logs/{experiment}/encode/{source}_embeddings.log",
    benchmark:
        "results/{experiment}/benchmarks/encode/{source}_embeddings.tsv"
    wildcard_constraints:
        source="image|caption",
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=memory(6000),
        runtime=240,
    params:
        # What captions are made of changes no embedding of an image.
        settings=lambda wildcards: settings(
            "encode", only=["clip", "batch_size", *(["captions"] if wildcards.source == "caption" else [])]
        ),
        root=dataset_root,
        clip=clip_options,
        code=code_of("stages.encode.embed_images"),
    shell:
        "python -m stages.encode.embed_images --settings {params.settings:q} --source {wildcards.source}"
        " --index {input.index} --root {params.root:q} {params.clip} --output {output.embeddings} &> {log}"


# The training-free localizer `clip` needs CLIP's image tower itself.
rule save_image_tower:
    input:
        **clip_files(),
    output:
        tower="results/{experiment}/encode/image_tower.safetensors",
    log:
        "logs/{experiment}/encode/image_tower.log",
    benchmark:
        "results/{experiment}/benchmarks/encode/image_tower.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(6000),
        runtime=30,
    params:
        settings=settings("encode", only=["clip"]),
        clip=clip_options,
        code=code_of("stages.encode.save_image_tower"),
    shell:
        "python -m stages.encode.save_image_tower --settings {params.settings:q} {params.clip} --output {output.tower}"
        " &> {log}"
