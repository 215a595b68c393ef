"""Names of timm's models, `<model>` or `<model>.<tag of its weights>`, and what is wrong with one."""

import difflib

import timm


def name_fault(model: str) -> str:
    """Why timm has no model or no weights of a name, and what it has; empty if it has.

    >>> name_fault("resnet18.a1_in1k")
    ''
    >>> name_fault("resnet18.mine").split("; ")[0]
    "timm's resnet18 has no weights 'mine'"
    """
    name, _, tag = model.partition(".")
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        meant = (
            f"did you mean {' or '.join([', '.join(near[:-1])] * (len(near) > 1) + near[-1:])}? See" if near else "see"
        )
        return f"timm has no model {name!r}; {meant} timm.list_models()"
    tags = [pretrained.partition(".")[2] for pretrained in timm.list_pretrained(f"{name}.*")]
    if tag and tag not in tags:
        return f"timm's {name} has no weights {tag!r}; it has {', '.join(tags) or 'none'}"
    return ""
