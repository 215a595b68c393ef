"""What can be exported, and in which formats. Imports nothing, for commands that only name them."""

from enum import StrEnum


class Format(StrEnum):
    """What can be written."""

    coco = "coco"
    labelme = "labelme"
    yolo = "yolo"
    png = "png"


class Masks(StrEnum):
    """Which masks can be written."""

    pseudo_masks = "pseudo_masks"
    predictions = "predictions"
