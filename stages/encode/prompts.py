"""The prompts of a class: its names in the templates of `encode.templates`."""

from collections.abc import Sequence

from stages.settings.encode import PLACE


def fill(template: str, name: str) -> str:
    """A template with a name in its one place; braces in the name stay as they are.

    >>> fill("a photo of a {}.", "bird {wild}")
    'a photo of a bird {wild}.'
    """
    return template.replace(PLACE, name)


def prompts_of(names: Sequence[str], templates: Sequence[str]) -> list[str]:
    """All templates with all names, name by name."""
    return [fill(template, name) for name in names for template in templates]
