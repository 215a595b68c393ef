"""The one error that a user is meant to read: it names the place, the value and the cure."""


class TagmaskError(Exception):
    """Bad input or configuration. The command line prints the message alone, without a traceback."""


class DataError(TagmaskError):
    """A dataset, image, mask, index or artefact is missing or not as it must be."""


class SettingsError(TagmaskError):
    """A setting is unknown, of the wrong type or does not fit the others."""
