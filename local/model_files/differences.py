"""Two definitions of a model to the settings in which they differ."""


def differences(before, now):
    """(name, value before, value now) of what differs in two definitions of a model.

    A setting that only one of them has and that is off (False, 0, null, none) there makes no
    difference: a definition may be older than the setting.
    """
    before, now = (_as_today(dict(_flat(definition))) for definition in (before, now))
    for name in dict.fromkeys([*before, *now]):
        values = before.get(name), now.get(name)
        if values[0] != values[1] and any(value and value != "none" for value in values):
            yield name, *(found.get(name, "missing") for found in (before, now))


def _as_today(values):
    """The values of `_flat`; those from before `make_front_end` get its names."""
    if values.pop("extractor.front_end.channels is", None) is None:
        return values
    num_blocks, width = values.pop("extractor.front_end.channels")
    return values | {
        "extractor.front_end is": "!apply:local.models.front_ends.make_front_end",
        "extractor.front_end.name": "vgg",
        "extractor.front_end.num_blocks": num_blocks,
        "extractor.front_end.width": width,
    }


def _flat(node, name=""):
    """(name, value) of all tags and values in nested mappings and lists."""
    tag = getattr(getattr(node, "tag", None), "value", None)
    if tag:
        yield f"{name} is", tag
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _flat(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, list(node) if isinstance(node, list) else node
