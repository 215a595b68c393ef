# What the rules share about the text-image model: its files, what packaged towers learn from, and what scores say of it.
from stages.language import NONE, language_of


def clip_files():
    """What the CLIP model is built from: a packaged tower and trained projections, or the user's own weights file."""
    clip = experiment.encode.clip
    if clip.kind == "towers":
        return {"clip": "results/{experiment}/encode/clip.safetensors", "weights": weights(clip.image_tower)}
    return {"pretrained": clip.pretrained} if names_file(clip.pretrained) else {}


def clip_options(wildcards, input):
    """The same as command line options."""
    return f"--clip {input.clip} --weights {input.weights}" if experiment.encode.clip.kind == "towers" else ""


# What packaged towers learn from; nothing where CLIP is a published one.
LEARNS_FROM = experiment.encode.clip.learns_from if experiment.encode.clip.kind == "towers" else ()


def tower_sources():
    """What packaged towers learn from, as inputs: the folder of the demo's cut-outs, the training images."""
    files = dataset() if "images" in LEARNS_FROM else {}
    if "cutouts" in LEARNS_FROM:
        folder = "set" if experiment.data.format == "demo" else "cutouts"
        files["cutouts"] = f"results/{{experiment}}/data/{folder}"
    if "images" in LEARNS_FROM:
        files["index"] = "results/{experiment}/data/train.csv"
    return files


def tower_options(wildcards, input):
    """The same as command line options."""
    options = [f"--{name} {input[name]}" for name in ("cutouts", "index") if name in input.keys()]
    if "index" in input.keys():
        options.append(f"--root {shlex.quote(str(dataset_root(wildcards)))}")
    return " ".join(options)


# The text-image model behind the experiment's own maps, and behind all that is made from them.
LANGUAGE = language_of(experiment.encode, experiment.localize)


def language_of_masks(wildcards):
    """The text-image model behind the masks of a score: none where true masks were the supervision."""
    return NONE if wildcards.stage == "upper_bound" else LANGUAGE
