# What the rules of localize.smk and compare.smk share: what training a localizer reads, and where the variants of the
# tables have their files.
OWN = experiment.localize
VARIANTS = all_variants(experiment)


def localize_json(variant, without=()):
    """The section `localize` of a variant as JSON; the training-free CLIP is told which CLIP it is."""
    if variant.method == "clip":
        told = variant.clip.model_copy(update={"tower": experiment.encode.clip})
        variant = variant.model_copy(update={"clip": told})
    return section_json(experiment.model_copy(update={"localize": variant}), "localize", without=without)


# What the maps alone, or the training alone, is about: a change there must not make the other again.
FOR_TRAINING = ["maps", "classes", "class_threshold", "splits"]
FOR_MAPS = ["training", "splits"]


def training_files(variant):
    """What training a variant reads: pretrained weights, and embeddings and frozen features where it uses them."""
    clip = variant.method == "clip"
    files = {
        "weights": "results/{experiment}/encode/image_tower.safetensors" if clip else weights(variant.backbone.model)
    }
    if variant.language_source != "none":
        files["images"] = f"results/{{experiment}}/encode/{variant.language_source}_embeddings.safetensors"
    name = features_name(features_settings(variant))
    if name:
        files["features"] = f"results/{{experiment}}/localize/features/{name}"
    return files


def training_options(wildcards, input):
    """Those of the files that not every training has, as command line options."""
    return " ".join(f"--{name} {input[name]}" for name in ("images", "features") if name in input.keys())


# Frozen features are of the experiment's seed in every variant, and of every seed of a table: computed once.
FROZEN = {features_name(own): own for own in map(features_settings, [*VARIANTS.values(), OWN])}


FROZEN_FOR_MAPS = {features_name(own): own for own in map(map_features_settings, [*VARIANTS.values(), OWN])}


def map_features(variant):
    """The frozen features that a variant's maps are made from, where it has such."""
    name = features_name(map_features_settings(variant))
    return {"features": f"results/{{experiment}}/localize/map_features/{name}/{{split}}/{{shard}}"} if name else {}


def map_options(wildcards, input):
    """The same as a command line option."""
    return f"--features {input.features}" if "features" in input.keys() else ""


def seeds_of(table, variant):
    """The seeds of a table's row; what is not trained has one."""
    seeds = experiment.compare.localizer_seeds if table == "compare_localizers" else experiment.compare.seeds
    return seeds[:1] if VARIANTS[variant].method == "clip" else seeds


def is_own(variant, seed):
    """Whether the experiment's own localizer is this variant with this seed: then nothing is trained twice."""
    return VARIANTS[variant] == experiment.localize and seed == experiment.seed


def variant_folder(variant, seed):
    """The folder of a variant's files below that of a stage, one for all names of the same settings."""
    if is_own(variant, seed):
        return ""
    name = next(name for name, settings in VARIANTS.items() if settings == VARIANTS[variant])
    return f"variants/{name}-{seed}/"


def variant_files(pattern, variant, seed, **wildcards):
    """Files of a variant."""
    return results(f"localize/{variant_folder(variant, seed)}{pattern}", **wildcards)


def trained_as(variant):
    """The variant whose training a variant uses: those that differ in how maps are made share one."""
    trained = VARIANTS[variant].model_copy(update={"maps": OWN.maps})
    return next((name for name, settings in VARIANTS.items() if settings == trained), variant)


def localizer_of(variant, seed):
    """The trained localizer of a variant."""
    return variant_files("localizer.safetensors", trained_as(variant), seed)


def variant_score(variant, seed):
    """The score of a variant's maps."""
    return results(f"evaluate/{variant_folder(variant, seed)}maps-{experiment.compare.split}.json")[0]


def variant_benchmark(variant, seed):
    """Snakemake's benchmark file of a variant's training."""
    return results(f"benchmarks/localize/{variant_folder(variant, seed)}train.tsv")[0]


def of_variant(find):
    """An input or params function: what `find` gives for the settings of the job's variant."""
    return lambda wildcards: find(VARIANTS[wildcards.variant])


TITLES = {
    "ablation_tokens": "Class tokens",
    "ablation_context": "Visual context and image-language context",
    "compare_localizers": "Localizers",
    "compare_refiners": "Refinement",
}


def table_scores(wildcards):
    """The scores of all rows and seeds of a table."""
    table = wildcards.table
    if table == "compare_refiners":
        return [refiner_score(name) for name in REFINERS]
    return [variant_score(name, seed) for name in table_rows(experiment, table) for seed in seeds_of(table, name)]


def table_maps(variant, seed):
    """The map shards of a variant on the compared split."""
    return variant_files(
        "maps/{split}/{shard}.safetensors", variant, seed, split=parts_of(experiment.compare.split), shard=SHARDS
    )


def table_pictures(wildcards):
    """What the page of a table shows side by side: maps, or masks, of each row's first seed."""
    table = wildcards.table
    if table == "compare_refiners":
        return [path for name in REFINERS for path in refiner_masks(name)]
    return [path for name in table_rows(experiment, table) for path in table_maps(name, seeds_of(table, name)[0])]


def table_specification(wildcards):
    """The rows of a table as JSON: their words, and the files of each seed."""
    table, rows = wildcards.table, []
    if table == "compare_refiners":
        return refiner_specification(wildcards)
    for name, row in table_rows(experiment, table).items():
        seeds = seeds_of(table, name)
        files = {"name": name, "title": row.title, "published": row.published}
        files["scores"] = [variant_score(name, seed) for seed in seeds]
        files["maps"] = table_maps(name, seeds[0])
        if table == "compare_localizers":
            files["curves"] = [variant_files("training.csv", trained_as(name), seed)[0] for seed in seeds]
            files["benchmarks"] = [variant_benchmark(trained_as(name), seed) for seed in seeds]
            files["epochs"] = VARIANTS[name].training.epochs
        rows.append(files)
    return json.dumps(rows)
