"""Settings of the stage `encode`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from stages.settings.base import Count, Once, Positive, Strict, Words


class PretrainedClip(Strict):
    """A published CLIP model, fetched by open_clip or read from a file."""

    kind: Literal["pretrained"] = "pretrained"
    model: str = Field("ViT-B-16", description="open_clip model name")
    pretrained: str = Field(
        "openai",
        description="open_clip weights tag, or path of a .safetensors, .pth or .pt file. A tag implies the activation,"
        " a file does not: with a file of OpenAI's weights, set `model` to ViT-B-16-quickgelu",
    )


class TowerClip(Strict):
    """An open_clip model built from packaged towers, with projections trained here. Its results are not CLIP's."""

    kind: Literal["towers"]
    image_tower: str = Field(
        "tf_efficientnet_lite0", description="timm CNN or plain ViT; its weights come from `encode.weights`"
    )
    image_size: Count = Field(224, description="input side of the image tower, pixels")
    width: Count = Field(256, description="width E of the joint space")
    learns_from: Annotated[tuple[Literal["cutouts", "images"], ...], Field(min_length=1)] = Field(
        ("cutouts", "images"),
        description="what the projections learn from: the demo's training cut-outs with their captions, whose packages"
        " are fetched (`data.demo`) | the dataset's own training images with their tags, and captions if there are any",
    )
    views: Count = Field(24, description="random compositions of each training cut-out")
    image_views: Count = Field(10, description="random crops of each training image")
    epochs: Count = Field(60, description="passes over all views")
    batch_size: Count = Field(128, description="views per step")
    learning_rate: Positive = Field(1e-3, description="AdamW learning rate of the projections")

    @model_validator(mode="after")
    def sources_stand_once(self) -> "TowerClip":
        if len(set(self.learns_from)) != len(self.learns_from):
            raise ValueError(f"learns_from lists a source twice ({', '.join(self.learns_from)}); list each once")
        return self


PLACE = "{}"


def _has_one_place(template: str) -> str:
    if template.count(PLACE) != 1:
        raise ValueError(
            f"a prompt template needs exactly one place {PLACE} for the class's name, as in 'a photo of a {PLACE}.'"
        )
    if set("{}") & set(template.replace(PLACE, "")):
        raise ValueError(f"a brace in a prompt template may only be its one place {PLACE}; write the others without it")
    return template


# Filled by `stages.encode.prompts`.
Template = Annotated[str, AfterValidator(_has_one_place)]
Names = Annotated[tuple[Words, ...], Field(min_length=1)]
# A text-image model, chosen by its kind.
ClipModel = Annotated[PretrainedClip | TowerClip, Field(discriminator="kind")]


class EncodeSettings(Strict):
    """Frozen knowledge: backbone weights, class text embeddings, image embeddings."""

    weights: dict[str, Words] = Field(
        {}, description="timm model name -> where its weights come from: `timm`, `package`, or a .safetensors/.pth file"
    )
    clip: ClipModel = Field(PretrainedClip(), description="the CLIP model")
    templates: Annotated[tuple[Template, ...], Field(min_length=1)] = Field(
        (
            "a photo of a {}.",
            "a photo of the {}.",
            "a cropped photo of a {}.",
            "a good photo of a {}.",
            "a close-up photo of a {}.",
        ),
        description="prompt templates, each with one place `{}` for the class's name; their embeddings are averaged per"
        " class",
    )
    synonyms: dict[str, Names] = Field({}, description="class -> names to use in its prompts instead")
    backgrounds: Annotated[tuple[Words, ...], Once] = Field(
        (),
        description="names of what photos show besides the classes (sky, grass), for the templates;"
        " `localize.method.kind` clip_es weighs an image's classes against them",
    )
    captions: Literal["dataset", "tags"] = Field(
        "dataset",
        description="what `localize.method.language_context` uses as an image's caption: the dataset's own, or a"
        " sentence built from the image's tags, for datasets without captions",
    )
    batch_size: Count = Field(32, description="images per step")
