# What the rules of refine.smk and compare.smk share: which networks, regions and thresholds the refiners need, and where
# their files are. The experiment's own refiner and the rows of compare_refiners share what is the same for them.
OWN_REFINER = experiment.refine
REFINERS = all_refiners(experiment)
LEARNED = [settings.affinity for settings in [OWN_REFINER, *REFINERS.values()] if settings.affinity.kind == "learned"]
AFFINITIES = {affinity_name(affinity): affinity for affinity in LEARNED}
REGIONS = {regions_name(affinity): affinity for affinity in LEARNED}
THRESHOLDS = {threshold_name(settings): settings for settings in [*REFINERS.values(), OWN_REFINER]}
REFINE = "results/{experiment}/refine"


def refine_json(refiner, without=()):
    """The section `refine` of a refiner as JSON."""
    return section_json(experiment.model_copy(update={"refine": refiner}), "refine", without=without)


def with_affinity(affinity, without=()):
    """The section `refine` with this affinity and nothing else of its own."""
    return refine_json(type(OWN_REFINER)(affinity=affinity), without=[f"affinity.{name}" for name in without])


def refining_files(refiner):
    """What refining reads beside maps: a trained network or the localizer, and a threshold that was chosen."""
    files = {}
    if refiner.affinity.kind == "learned":
        files["affinity"] = f"{REFINE}/affinity/{affinity_name(refiner.affinity)}/affinity.safetensors"
    if refiner.affinity.kind == "attention":
        files["affinity"] = "results/{experiment}/localize/localizer.safetensors"
    return files | threshold_of(refiner)


def threshold_of(refiner):
    """The file of a refiner's threshold, where one is chosen."""
    name = threshold_name(refiner)
    return {"threshold": f"{REFINE}/threshold/{name}.json"} if name else {}


def refining_options(refiner, input):
    """The same as command line options; a threshold of the config as a number."""
    options = [f"--affinity {input.affinity}"] if refiner.affinity.kind != "none" else []
    return " ".join([*options, threshold_option(refiner, input)])


def threshold_option(refiner, input):
    """The threshold as an option, a number or a file; nothing for background by a power."""
    if refiner.background == "power":
        return ""
    return f"--threshold {input.threshold if threshold_name(refiner) else refiner.background_threshold}"


def refining_settings(refiner):
    """What labelling depends on. How a network was trained it knows from the network, the threshold from an option."""
    training = ["affinity.training", "affinity.sure_powers", "affinity.sure_crf"]
    dropped = ["auto", "background_threshold", *(training if refiner.affinity.kind == "learned" else [])]
    if not refiner.ignore_band:
        dropped.append("ignore_band")
    return refine_json(refiner, without=dropped)


def threshold_files(wildcards):
    """What a threshold is chosen on: maps of train (auto), or the score of the first scored split's maps (oracle)."""
    if wildcards.threshold == "oracle":
        return {"score": results("evaluate/maps-{split}.json", split=experiment.evaluate.maps[0])[0]}
    return {"maps": results("localize/maps/train/{shard}.safetensors", shard=SHARDS)}


def threshold_options(wildcards, input):
    """The same as command line options."""
    return f"--score {input.score}" if wildcards.threshold == "oracle" else f"--maps {input.maps}"


def own_threshold_file(wildcards):
    """The threshold file by which the experiment's maps are scored. An oracle is a score's best: nothing to wait for."""
    return {} if threshold_name(OWN_REFINER) == "oracle" else threshold_of(OWN_REFINER)


def own_threshold_option(wildcards, input):
    """The same as a command line option; none where there is no threshold but the best one."""
    return "" if threshold_name(OWN_REFINER) == "oracle" else threshold_option(OWN_REFINER, input)


def variant_threshold(wildcards):
    """The config's threshold for a variant's maps, as an option; a chosen one was chosen for the own localizer alone."""
    number = OWN_REFINER.background != "power" and threshold_name(OWN_REFINER) is None
    return f"--threshold {OWN_REFINER.background_threshold}" if number else ""


def mask_files(wildcards):
    """The chosen threshold that made the masks of a score; predictions and numbers in the config have none."""
    return threshold_of(OWN_REFINER) if wildcards.stage == "pseudo_masks" else {}


def mask_option(wildcards, input):
    """What made the background of the masks of a score, as a command line option; predictions have none."""
    return background_of(OWN_REFINER, input) if wildcards.stage == "pseudo_masks" else ""


def background_of(refiner, input):
    """What made the background of masks, as an option for their score."""
    power = refiner.background == "power"
    return f"--power {refiner.background_power}" if power else threshold_option(refiner, input)


def refiner_folder(name):
    """Where the masks of a row of compare_refiners are: nothing is made twice."""
    if REFINERS[name] == OWN_REFINER:
        return "masks"
    return f"variants/{next(other for other, settings in REFINERS.items() if settings == REFINERS[name])}"


def refiner_masks(name):
    """The masks of a row of compare_refiners on the compared split."""
    splits = parts_of(experiment.compare.split)
    return results(f"refine/{refiner_folder(name)}/{{split}}/{{shard}}", split=splits, shard=SHARDS)


def refiner_score(name):
    """The score of these masks."""
    if REFINERS[name] == OWN_REFINER:
        return results("evaluate/pseudo_masks-{split}.json", split=experiment.compare.split)[0]
    refiner = next(other for other, settings in REFINERS.items() if settings == REFINERS[name])
    return results(
        "evaluate/refiners/{refiner}/pseudo_masks-{split}.json", refiner=refiner, split=experiment.compare.split
    )[0]


def refiner_specification(wildcards):
    """The rows of compare_refiners as JSON: their words and files."""
    rows = refiner_rows(experiment)
    return json.dumps(
        [
            {
                "name": name,
                "title": row.title,
                "published": row.published,
                "scores": [refiner_score(name)],
                "masks": refiner_masks(name),
            }
            for name, row in rows.items()
        ]
    )
