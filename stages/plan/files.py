"""Where the files of an experiment are."""

from collections.abc import Iterable
from dataclasses import dataclass

from stages.settings import parts_of

# Inputs of a rule by name: a file, or several.
Inputs = dict[str, str | list[str]]


@dataclass(frozen=True)
class Files:
    """The paths of one experiment, relative to the folder that Snakemake runs in."""

    experiment: str
    shards: int

    @property
    def results(self) -> str:
        """Results, with a folder for each stage."""
        return f"results/{self.experiment}"

    @property
    def logs(self) -> str:
        """Logs of the commands, laid out like the results."""
        return f"logs/{self.experiment}"

    @property
    def benchmarks(self) -> str:
        """Time and memory of each job, laid out like the results."""
        return f"{self.results}/benchmarks"

    def index(self, split: str) -> str:
        """The index of a split, or of several together: `train+val`."""
        return f"{self.results}/data/{split}.csv"

    def weights(self, model: str) -> str:
        """The weights of a timm model, as `load_weights` writes them."""
        return f"{self.results}/encode/weights/{model}.safetensors"

    def of_shards(self, pattern: str, splits: Iterable[str]) -> list[str]:
        """A pattern below the results with `{split}` and `{shard}`, for all shards of all splits. A split may be
        several splits joined."""
        single = [part for split in splits for part in parts_of(split)]
        return [
            f"{self.results}/{pattern.format(split=split, shard=shard)}"
            for split in dict.fromkeys(single)
            for shard in range(self.shards)
        ]
