"""Errors meant for the user: they name the place, the value and the cure."""


class TagmaskError(Exception):
    """Bad input or configuration. The command line prints only the message, without a traceback."""


class DataError(TagmaskError):
    """A dataset, image, mask, index or artefact is missing or invalid."""


class SettingsError(TagmaskError):
    """A setting is unknown, has the wrong type or does not fit the others."""


SHOWN = 160  # characters of a library's message


def in_one_line(error: BaseException) -> str:
    """The beginning of a library's message in one line; torch's have a line for every tensor."""
    text = " ".join(str(error).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."
