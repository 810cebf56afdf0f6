"""Templates of text that is not HTML."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def template(name, **filters):
    """A template in the folder of this module.

    Arguments
    ---------
    name : str
        Of the file.
    **filters : callable
        What the template may call besides Jinja's own filters.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= filters
    return environment.get_template(name)
