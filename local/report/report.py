"""Evaluations and pictures to the report: one HTML page."""

import base64
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from local.atomic import replacing
from local.evaluation.summary import number_text, threshold_key
from local.report.hardest import hardest_errors
from local.report.slider import SLIDER_TICKS, slider_data
from local.report.tables import ONLY_IN_SUMMARY, condition_tables, table_lines
from local.report.training_curves import training_pictures

FOLDER = Path(__file__).parent


def write_report(
    path, title, systems, pictures=(), details=(), training_log=None, list_pictures=()
):
    """Writes the page, whole or not at all.

    It needs no network and no other file, except for the audio of the hardest errors: relative
    links lead there.

    Arguments
    ---------
    path : str or Path
        The HTML file; its folder must exist.
    title : str
    systems : sequence of local.evaluation.evaluate.Evaluation
    pictures : sequence of tuple
        (heading, what it shows in words, SVG text).
    details : sequence of tuple
        (name, value): rows about model, trials and command.
    training_log : str or Path, optional
        A `train_log.txt`, whose curves are shown if it can be read.
    list_pictures : sequence of list
        If the systems are one system on several lists, of which each gets a section: its pictures.

    Raises
    ------
    InputError
        If the file can't be written.
    """
    sliders, lines = [slider_data(system) for system in systems], table_lines(systems)
    described = [
        {
            "name": system.name,
            "summary": system.summary,
            "errors": hardest_errors(system, Path(path).parent),
            "decimals": slider["decimals"],
        }
        for system, slider in zip(systems, sliders, strict=True)
    ]
    sections = [
        (values, condition_tables([system]), [picture_of(*p) for p in own])
        for values, system, own in zip(described, systems, list_pictures, strict=False)
    ]
    page = page_template("report.html").render(
        title=title,
        details=details,
        lines=lines,
        condition_lines=[line for line in lines if line[0] not in ONLY_IN_SUMMARY],
        systems=described,
        conditions={} if sections else condition_tables(systems),
        data={"systems": sliders},
        ticks=SLIDER_TICKS,
        pictures=[picture_of(*p) for p in pictures],
        lists=sections,
        training=[picture_of(*p) for p in training_pictures(training_log)] if training_log else [],
        script=_inlined("report.js"),
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def page_template(name):
    """The jinja2 template of a file beside this one, which has the style of all pages."""
    options = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, **options)
    environment.globals |= {"number_text": number_text, "threshold_key": threshold_key}
    environment.globals["style"] = _inlined("report.css")
    return environment.get_template(name)


def picture_of(heading, alt, svg):
    """An SVG as the address of an image, as the ids of two in one page would clash."""
    encoded = base64.b64encode(svg.encode()).decode()
    return {"heading": heading, "alt": alt, "address": f"data:image/svg+xml;base64,{encoded}"}


def _inlined(name):
    """The text of a file beside this one, unescaped."""
    return Markup((FOLDER / name).read_text(encoding="utf-8"))
