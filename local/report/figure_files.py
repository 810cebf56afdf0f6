"""Figures to files: PNG for the screen, PDF for a paper; and to SVG for a page."""

import io

from matplotlib import rc_context

from local.atomic import replacing

DPI = 150
# Without the date, the same figure gives the same file.
_NO_DATE = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


def save_figure(figure, path):
    """Saves a figure beside a Path, with the endings .png and .pdf; each file is whole or missing.

    Raises
    ------
    InputError
        If a file can't be written.
    """
    for ending in ("png", "pdf"):
        with replacing(path.with_suffix(f".{ending}")) as temporary:
            _save(figure, temporary, ending)


def svg_text(figure):
    """A figure as the text of an SVG file."""
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "figure"}):
        _save(figure, buffer, "svg")
    return buffer.getvalue().decode()


def _save(figure, target, ending):
    figure.savefig(target, format=ending, dpi=DPI, metadata=_NO_DATE[ending])
    figure.set_layout_engine("none")  # for the next file, all stays where it is
