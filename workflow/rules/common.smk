# What the rules share: the checked config, and helpers that say which settings, code and files a rule depends on.
import functools
import json
import re
import shlex
from pathlib import Path

from snakemake.utils import validate

from stages.errors import SettingsError
from stages.experiment import check_variants, read_experiment, section_json
from stages.files import sha256_of
from stages.report.made_tables import TABLES
from stages.segment.overlay import overlay_path
from stages.settings import joined, parts_of
from stages.source_hash import hash_of_command
from stages.variants import (
    affinity_name,
    all_refiners,
    all_variants,
    features_name,
    features_settings,
    map_features_settings,
    refiner_rows,
    regions_name,
    table_rows,
    threshold_name,
)


def checked_experiment():
    """The config as an Experiment, or one clear line for each setting that is wrong."""
    source = ", ".join(str(relative(path)) for path in workflow.configfiles) or "config"
    try:
        checked = read_experiment(config, source=source)
        check_variants(checked, source=source)
    except SettingsError as error:
        raise WorkflowError(str(error))
    try:
        overlay_path(checked.segment.model)
    except SettingsError as error:
        raise WorkflowError(f"{source}: {error}")
    validate(config, "../schemas/config.schema.yaml", set_default=False)
    root = checked.data.root
    if root is not None and not root.is_dir() and not checked.data.fetch:
        cure = ", or set data.fetch to download what may be" if checked.data.format in ("voc", "coco") else ""
        raise WorkflowError(f"{source}: data.root: no folder {root}; put the dataset there or name its folder{cure}")
    for model in sorted(checked.models):
        file = checked.encode.weights[model]
        if names_file(file) and not Path(file).is_file():
            raise WorkflowError(
                f"{source}: encode.weights.{model}: no file {file}; put it there (docs/method.md, Weights without internet)"
                " or, to have weights fetched, name another backbone in segment and refine.affinity: resnet101, with"
                " segment.model deeplabv3plus"
            )
    scored = checked.evaluate.train_list
    if scored is not None and not scored.is_file() and not checked.data.fetch:
        raise WorkflowError(
            f"{source}: evaluate.train_list: no file {scored}; correct the path, or leave it out to score all of train"
        )
    return checked


def names_file(source):
    """Whether a source of weights is a file of the user's, not the name of a place to fetch them from."""
    return Path(source).suffix in (".safetensors", ".pth", ".pt")


def relative(path):
    """The path as the user would type it."""
    path = Path(path)
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def store_variable():
    """What tells the commands where the store is, if there is one."""
    return f"export TAGMASK_STORE={shlex.quote(str(experiment.store))}; " if experiment.store else ""


experiment = checked_experiment()
SHARDS = range(experiment.data.shards)
# Every split that is used; val is the one that the report shows. Training waits for the indexes of all of them, so that
# an image that cannot be used is told before the long work starts, not after it.
SCORED_MAPS = [part for split in experiment.evaluate.maps for part in parts_of(split)]
SPLITS = sorted(
    {
        *("train", "val", *SCORED_MAPS, *experiment.evaluate.localization),
        *(*experiment.segment.predict, *experiment.evaluate.segmenter),
    },
    key=("train", "val", "test").index,
)
# The splits that get maps and pseudo masks: one to train the segmenter on, one for the report, others to be scored.
MAP_SPLITS = sorted({"train", "val", *SCORED_MAPS, *experiment.evaluate.localization}, key=SPLITS.index)
# The images whose tags the localizer learns from.
LEARNED_INDEX = f"results/{{experiment}}/data/{joined(experiment.localize.splits)}.csv"
# A split of a score may be several together, `train+val`.
SCORED_SPLIT = r"(train|val|test)(\+(val|test))*"


wildcard_constraints:
    experiment=re.escape(experiment.experiment),
    split="train|val|test",
    shard="[0-9]+",
    supervision="pseudo_masks|true_masks",


# Threads that wait by spinning slow each other down fivefold when anything else runs on the machine. A job's shell knows
# which Snakemake started it, so that the job can end with it (stages/watch.py), even if it dies while the job starts.
shell.prefix(f"export OMP_WAIT_POLICY=PASSIVE TAGMASK_SNAKEMAKE=$PPID; {store_variable()}")


# Settings of `data` that change nothing in the composed set, and none of the true masks that are made.
NOT_OF_DEMO = [
    "shards",
    "voc",
    "coco",
    "openimages",
    "folder",
    "expected",
    "on_error",
    "fetch",
    "demo.cache",
    "demo.packages",
]
DATA_OF_INDEX = ["captions", "shards", "demo", "folder", "fetch", "expected", "coco.captions"]


def memory(megabytes):
    """The memory of a job in MB: so much at the first try, as much again at each further one."""
    return lambda wildcards, attempt: megabytes * attempt


def settings(section, only=(), without=()):
    """A section of the config as JSON. A rule reruns when this text changes, so it names just what its command uses."""
    return section_json(experiment, section, only=only, without=without)


@functools.cache
def code_of(command):
    """Hash of a command's source code, so that a changed program reruns what it made."""
    return hash_of_command(command, Path(workflow.basedir))


def results(pattern, **wildcards):
    """Files of this experiment."""
    return expand(f"results/{{experiment}}/{pattern}", experiment=experiment.experiment, **wildcards)


def shards(pattern):
    """An input function: the pattern's files of all shards, of every split of the score; other wildcards as the rule's."""
    return lambda wildcards: expand(pattern, **{**wildcards, "split": parts_of(wildcards.split), "shard": SHARDS})


def dataset_root(wildcards):
    """The folder to which the paths in an index are relative."""
    return experiment.data.root or f"results/{wildcards.experiment}/data/set"


def dataset():
    """The composed or fetched set as an input of the rules that read images; another is no rule's output."""
    if experiment.data.format == "demo":
        return {"dataset": "results/{experiment}/data/set"}
    return {"dataset": "results/{experiment}/data/fetched.json"} if experiment.data.fetch else {}


def split_list(wildcards):
    """The files of a user's dataset that list a split. Where one is missing, the command says so in its own words."""
    data, split = experiment.data, wildcards.split
    if data.fetch:  # fetched.json stands for them: an input that appears on the way would run the rules again
        return [f"results/{wildcards.experiment}/data/fetched_test.json"] if split == "test" else []
    if data.format == "csv":
        lists = [f"{split}.csv"]
    elif data.format == "voc":
        lists = [f"ImageSets/Segmentation/{getattr(data.voc, split)}.txt"]
    elif data.format == "coco":
        lists = [f"annotations/instances_{getattr(data.coco, split, split)}.json"]
    elif data.format == "openimages":
        lists = [data.openimages.metadata / split / name for name in ("class_labels.txt", "localization.txt")]
    elif data.format == "folder":
        lists = [data.folder.table]
    else:
        return []
    return [data.root / path for path in lists if (data.root / path).is_file()]


def made_masks():
    """The folder of true masks that `make_truth` makes, for datasets that do not bring them as indexed PNGs."""
    made = experiment.data.format in ("coco", "openimages") or experiment.data.voc.sbd is not None
    return {"masks": "results/{experiment}/data/masks/{split}"} if made else {}


def train_list(wildcards):
    """The list of training images that are scored, where the config names one."""
    chosen = experiment.evaluate.train_list if wildcards.split == "train" else None
    return {"only": f"results/{wildcards.experiment}/evaluate/scored_train.txt"} if chosen else {}


def only_option(wildcards, input):
    """The same as a command line option."""
    return f"--only {input.only}" if "only" in input.keys() else ""


def listed_file(wildcards):
    """The user's own list of the training images that are scored; of a fetched dataset it is no input."""
    return [] if experiment.data.fetch else [experiment.evaluate.train_list]


def chosen_on_val(wildcards):
    """The score that holds val's threshold, for the other splits."""
    return {} if wildcards.split == "val" else {"chosen": "results/{experiment}/evaluate/localization-val.json"}


def localization_scores(wildcards=None):
    """Scores by wsolevaluation's protocol, where the config asks for them."""
    return results("evaluate/localization-{split}.json", split=experiment.evaluate.localization)


def weights(model):
    """The weights of a timm model, as `load_weights` leaves them."""
    return f"results/{{experiment}}/encode/weights/{model}.safetensors"


def localizer_backbones():
    """The models whose weights the localizer starts from: none for the training-free one."""
    return [] if experiment.localize.method == "clip" else [experiment.localize.backbone.model]


def weights_file(wildcards):
    """The file that `encode.weights` names for a model, if it is one: a changed file is loaded again."""
    source = experiment.encode.weights[wildcards.model]
    return [source] if names_file(source) else []


def weights_setting(model):
    """The `encode` section with this model's weights alone."""
    one = experiment.encode.model_copy(update={"weights": {model: experiment.encode.weights[model]}})
    return section_json(experiment.model_copy(update={"encode": one}), "encode", only=["weights"])


def training_masks(wildcards):
    """The pseudo masks of train, with the ignore band where there is one; none where true masks are the supervision."""
    if wildcards.supervision == "true_masks":
        return []
    return results(f"refine/{'banded' if experiment.refine.ignore_band else 'masks/train'}/{{shard}}", shard=SHARDS)


def scored_masks(wildcards):
    """The folders of masks that a score of `score_masks` is about."""
    folders = {
        "pseudo_masks": "refine/masks",
        "segmenter": "segment/pseudo_masks/predictions",
        "told_segmenter": "segment/pseudo_masks/told",
        "upper_bound": "segment/true_masks/predictions",
    }
    return results(f"{folders[wildcards.stage]}/{{split}}/{{shard}}", split=parts_of(wildcards.split), shard=SHARDS)


def scores(*, bound):
    """The score files of `all`, with those of the fully supervised bound where asked for."""
    stages = ["segmenter", "upper_bound"] if bound else ["segmenter"]
    return [
        *results("evaluate/{stage}-{split}.json", stage=["maps", "pseudo_masks"], split=experiment.evaluate.maps),
        *results("evaluate/{stage}-{split}.json", stage=stages, split=experiment.evaluate.segmenter),
    ]


def voc_submission_file():
    """The archive for PASCAL VOC's server; asked for of other data, it is refused before anything is trained."""
    if experiment.data.format != "voc" or "test" not in experiment.segment.predict:
        raise WorkflowError(
            f"voc_submission: needs data.format `voc` and `test` in segment.predict (given: {experiment.data.format!r},"
            f" {list(experiment.segment.predict)}); run it with configs/voc12.yaml"
        )
    return results("evaluate/voc_submission.tar.gz")


def panel_files(wildcards):
    """What the report's panels of val images show: maps, pseudo masks and predictions."""
    patterns = ("localize/maps/val/{shard}.safetensors", "refine/masks/val/{shard}")
    patterns += ("segment/pseudo_masks/predictions/val/{shard}",)
    return [path for pattern in patterns for path in results(pattern, shard=SHARDS)]


def made_tables(wildcards):
    """The ablations and comparisons that are there. A param, not an input: the page shows them, and is made again when one
    changes, but never has one made."""
    paths = map(Path, results("evaluate/{table}.md", table=TABLES))
    return {path.stem: sha256_of(path) for path in paths if path.is_file()}


def frozen_weights():
    """The weights that the experiment starts from: of every encoder, and of CLIP where they are a file. Those that open_clip
    fetches by a name are told by that name in the settings, and by the embeddings that came of them."""
    models = {experiment.segment.backbone, *localizer_backbones()}
    if experiment.refine.affinity.kind == "learned":
        models.add(experiment.refine.affinity.backbone)
    towers = experiment.encode.clip.kind == "towers"
    clip = results("encode/clip.safetensors") if towers else list(clip_files().values())
    return [*results("encode/weights/{model}.safetensors", model=sorted(models)), *clip]
