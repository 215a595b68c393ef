"""Folders of the segmenter's rounds: from the second on, it learns from masks that the one before made."""

PSEUDO_MASKS = "pseudo_masks"


def round_folder(number: int) -> str:
    """The folder of a round below `segment/`: the first learns from pseudo masks.

    >>> round_folder(1), round_folder(2)
    ('pseudo_masks', 'pseudo_masks-round2')
    """
    return PSEUDO_MASKS if number == 1 else f"{PSEUDO_MASKS}-round{number}"


def segmenter_file(number: int) -> str:
    """The weights of a round's segmenter, below the results."""
    return f"segment/{round_folder(number)}/segmenter.safetensors"
