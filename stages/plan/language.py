"""The text-image model of an experiment: its files, what packaged towers learn from, and how scores describe it."""

from dataclasses import dataclass
from pathlib import Path

from stages.language import NONE, language_of
from stages.plan.dataset import Dataset
from stages.plan.files import Files, Inputs
from stages.settings import EncodeSettings, LocalizeSettings, TowerClip

WEIGHTS_FILES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar", ".params", ".npz")


def names_file(source: str) -> bool:
    """Whether a source of weights is a user's file, not the name of a place to fetch them from."""
    return Path(source).suffix in WEIGHTS_FILES or "/" in source


@dataclass(frozen=True)
class Language:
    """CLIP, or the packaged towers that replace it."""

    files: Files
    dataset: Dataset
    settings: EncodeSettings

    @property
    def inputs(self) -> Inputs:
        """What the model is built from: a packaged tower and trained projections, or the user's own weights."""
        clip = self.settings.clip
        if isinstance(clip, TowerClip):
            return {"clip": f"{self.files.results}/encode/clip.safetensors", **self.tower_weights}
        return {"pretrained": clip.pretrained} if names_file(clip.pretrained) else {}

    @property
    def tower_weights(self) -> Inputs:
        """The weights of the packaged image tower."""
        clip = self.settings.clip
        return {"weights": self.files.weights(clip.image_tower)} if isinstance(clip, TowerClip) else {}

    @property
    def learns_from_images(self) -> bool:
        """Whether packaged towers learn from the training images and their tags."""
        return isinstance(self.settings.clip, TowerClip) and "images" in self.settings.clip.learns_from

    @property
    def training_inputs(self) -> Inputs:
        """What packaged towers learn from: the demo's cut-outs, the training images, or both."""
        clip, found = self.settings.clip, dict(self.tower_weights)
        if self.learns_from_images:
            found |= {**self.dataset.inputs, "index": self.files.index("train")}
        if isinstance(clip, TowerClip) and "cutouts" in clip.learns_from:
            found["cutouts"] = self.dataset.cutouts
        return found

    @property
    def weights(self) -> list[str]:
        """The files with the model's weights; none if open_clip fetches them by name."""
        clip = self.settings.clip
        if isinstance(clip, TowerClip):
            return [f"{self.files.results}/encode/clip.safetensors"]
        return [clip.pretrained] if names_file(clip.pretrained) else []

    def of_maps(self, localizer: LocalizeSettings) -> str:
        """The model behind a localizer's maps, as their score describes it."""
        return language_of(self.settings, localizer)

    def of_masks(self, stage: str, localizer: LocalizeSettings) -> str:
        """The same for masks: none if they come from true masks."""
        return NONE if stage == "upper_bound" else self.of_maps(localizer)
