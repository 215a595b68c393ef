"""Which text-image model a result rests on, in the words that scores carry."""

from pathlib import Path

from stages.settings import EncodeSettings, LocalizeSettings, MmcstSettings, PretrainedClip, TowerClip

NONE = "none"
SOURCES = {"cutouts": "cut-outs of the demo", "images": "tags of train"}


def model_words(clip: PretrainedClip | TowerClip) -> str:
    """A text-image model in words; of packaged towers, what they learned from."""
    if isinstance(clip, TowerClip):
        learned = sorted(clip.learns_from, key=list(SOURCES).index)
        return f"packaged towers, learned from {' and '.join(SOURCES[source] for source in learned)}"
    if Path(clip.pretrained).suffix:
        return f"CLIP {clip.model} from {Path(clip.pretrained).name}"
    return f"published CLIP {clip.model} {clip.pretrained}"


def language_of(encode: EncodeSettings, localize: LocalizeSettings) -> str:
    """The text-image model that a localizer's maps rest on; `none` where it has no textual tokens or texts."""
    uses = localize.method.on_clip or (
        isinstance(localize.method, MmcstSettings) and localize.method.tokens == "multimodal"
    )
    return model_words(encode.clip) if uses else NONE
