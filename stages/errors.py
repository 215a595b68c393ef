"""Errors meant for the user: they name the place, the value and the cure."""


class TagmaskError(Exception):
    """Bad input or configuration. The command line prints only the message, without a traceback."""


class DataError(TagmaskError):
    """A dataset, image, mask, index or artefact is missing or invalid."""


class SettingsError(TagmaskError):
    """A setting is unknown, has the wrong type or does not fit the others."""
