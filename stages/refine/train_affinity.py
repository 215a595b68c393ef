"""Trains the affinity network from sure regions; resumes from its work folder after an interruption."""

from pathlib import Path

from mmengine.runner import set_random_seed

from stages.errors import SettingsError
from stages.files import digest
from stages.index import read_index
from stages.mask_folders import find_masks
from stages.negatives import add_negatives, learned
from stages.refine.affinity_net import AffinityNet, save_affinity
from stages.refine.affinity_training import AffinityObjective, train_affinity
from stages.refine.affinity_views import AffinityViews
from stages.runtime.command import main, parse_settings
from stages.settings import LearnedAffinity, RefineSettings
from stages.tensors import read_tensors
from stages.training import fingerprint_of, resumes_in, training_parser, write_curves


def run(arguments: list[str] | None = None) -> None:
    options = training_parser(__doc__, "index", "root", "weights", many=("regions",))
    add_negatives(options)
    args = options.parse_args(arguments)
    settings = parse_settings(RefineSettings, args.settings).affinity
    if not isinstance(settings, LearnedAffinity):
        raise SettingsError(f"refine.affinity.kind: {settings.kind!r} learns nothing; set `learned`")
    # A negative is sure background everywhere. Of other images without tags nothing is known.
    records = learned(read_index(args.index), args.negatives)
    regions = list(find_masks(args.regions, (record.id for record in records)).values())
    known = fingerprint_of(settings, seed=args.seed, code=args.code, files=[args.index, args.weights])
    resume = resumes_in(args.work, lambda: known | {"regions": digest(regions)})

    set_random_seed(args.seed)
    net = AffinityNet(settings, read_tensors(args.weights, stage="encode"))
    images: list[Path] = [args.root / record.image for record in records]
    views = AffinityViews(images, regions, crop=settings.training.crop, stride=net.stride, statistics=net.statistics)
    train_affinity(AffinityObjective(net), views, settings.training, seed=args.seed, work=args.work, resume=resume)
    write_curves(args.curves, args.work)
    save_affinity(args.output, net)


if __name__ == "__main__":
    main(run, stored=("output", "curves"))
