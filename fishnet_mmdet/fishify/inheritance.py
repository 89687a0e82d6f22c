"""The difference of two configs, as a config that inherits the first one states it."""

from typing import Any, Mapping


def overrides(old: Mapping, new: Mapping) -> dict:
    """What a config that inherits ``old`` must say to be ``new``.

    mmengine merges dicts key by key, and replaces all other values, lists among them. ``_delete_=True`` in a dict tells it to
    inherit nothing there.

    Args:
        old (Mapping): The inherited config.
        new (Mapping): The config that is meant. It has every key of ``old``.
    """
    changes = {}
    for key, value in new.items():
        if key in old and old[key] == value:
            continue
        if key not in old or not isinstance(value, Mapping):
            changes[key] = value
        elif _is_extension(old[key], value):
            changes[key] = overrides(old[key], value)
        else:
            changes[key] = dict(_delete_=True, **value)
    return changes


def _is_extension(old: Any, new: Mapping) -> bool:
    """Whether one dict can become another without losing a key. A module of another type takes over no arguments."""
    return isinstance(old, Mapping) and old.get('type') == new.get('type') and set(old) <= set(new)
