"""Templates of text that is not HTML."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def template(name):
    """The template in the file of this name, beside this module."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)
