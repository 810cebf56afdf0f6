"""What an ablation found to its tables and its page."""

import csv
import io

from local.atomic import replacing
from local.evaluation.summary import write_json
from local.report.ablation_plot import ablation_figure
from local.report.figure_files import save_figure, svg_text
from local.report.report import page_template, picture_of

# In the tables for people; ablation.csv and ablation.json have all figures.
_SHOWN = "eer_percent"
_UNCLEAR = "unclear"
NOTE = (
    "Differences to the reference, with 95 % intervals over drawn speakers and seeds. One that is "
    f"{_UNCLEAR} has zero in its interval, and is no finding; of those in bold, one in twenty is "
    "there by chance."
)


def write_ablation(out_dir, results, command):
    """Writes ablation.json, .csv, .md, .html and the picture; returns the text to print.

    Arguments
    ---------
    out_dir : Path
    results : dict
        From `local.ablation.results.collect`.
    command : str
        That made them.
    """
    write_json(out_dir / "ablation.json", results | {"command": command})
    _write_text(out_dir / "ablation.csv", csv_table(results))
    heading, rows = table(results)
    notes = _notes(results)
    lines = [*_markdown(heading, rows), "", *(f"- {note}" for note in notes)]
    markdown = "\n".join([*lines, "", f"    {command}", ""])
    _write_text(out_dir / "ablation.md", markdown)
    pictures = []
    if any(run["seeds"] for run in results["runs"].values()):
        figure = ablation_figure(results)
        save_figure(figure, out_dir / "ablation")
        alt = "The EER of each run and seed, and its difference to the reference"
        pictures.append(picture_of("EER", alt, svg_text(figure)))
    page = page_template("ablation.html").render(
        heading=heading, rows=rows, notes=notes, command=command, pictures=pictures
    )
    _write_text(out_dir / "ablation.html", page)
    text = "\n".join([*_aligned(heading, rows), "", *notes])
    return f"\n{text}\n\nTables and picture: {out_dir}/ablation.html, .md, .csv, .json, .png, .pdf"


def _write_text(path, text):
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def table(results):
    """The heading and the rows of the table for people: lists of text."""
    heading = ["run", "what it changes", "parameters", "MMAC/s", "minutes", "seeds"]
    for name in results["trial_sets"]:
        heading += [f"{name}: EER %", "difference"]
    rows = []
    for name, run in results["runs"].items():
        minutes = run["minutes"]
        row = [
            name,
            run["changes"] or "nothing",
            f"{run['num_parameters']:,}",
            f"{run['macs_per_second'] / 1e6:.0f}",
            "" if minutes is None else f"{minutes:.1f}",
            f"{len(run['seeds'])} of {len(results['seeds'])}",
        ]
        for trial_set in results["trial_sets"]:
            figures = run["trial_sets"].get(trial_set)
            row += _cells(figures[_SHOWN]) if figures else ["", ""]
        rows.append(row)
    return heading, rows


def _cells(figure):
    """The mean with its spread, and the difference with its interval."""
    value = f"{figure['mean']:.2f}"
    if figure["deviation"] is not None:
        value += f" ± {figure['deviation']:.2f}"
    if figure["difference"] is None:
        return [value, ""]
    difference = f"{figure['difference']:+.2f}"
    if figure["difference_interval"]:
        low, high = figure["difference_interval"]
        difference += f" [{low:+.2f}, {high:+.2f}]"
    return [value, f"**{difference}**" if figure["is_clear"] else f"{difference} {_UNCLEAR}"]


def _notes(results):
    notes = [f"Reference: {results['reference']}. {NOTE}"]
    if len(results["seeds"]) == 1:
        notes.append(
            "WARNING: one seed. The intervals don't know how much a training differs from the next "
            "with another seed, which is often half a point."
        )
    for name, facts in results["trial_sets"].items():
        if not facts:
            continue
        notes.append(f"{name}: {facts['num_trials']:,} trials of {facts['num_speakers']} speakers.")
        notes += [f"{name}: {warning}" for warning in facts["warnings"]]
        if not facts["num_draws"]:
            notes.append(f"{name}: no intervals, as there are too few speakers.")
    return notes


def _markdown(heading, rows):
    lines = [heading, ["---"] * len(heading), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _aligned(heading, rows):
    """Lines for a terminal: what is bold in Markdown has a star."""
    lines = [[cell.replace("**", "*") for cell in line] for line in (heading, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def csv_table(results):
    """A line for each run, set of trials and figure."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = ["mean", "deviation", "interval", "difference", "difference_interval", "is_clear"]
    flat = ["mean", "deviation", "low", "high", "difference", "difference_low", "difference_high"]
    facts = ["changes", "num_parameters", "macs_per_second", "minutes"]
    writer.writerow(["run", *facts, "trial_set", "figure", *flat, "is_clear", "values"])
    for name, run in results["runs"].items():
        for trial_set, figures in run["trial_sets"].items():
            for figure, found in figures.items():
                values = []
                for column in columns:
                    is_interval = column.endswith("interval")
                    values += (found[column] or [None, None]) if is_interval else [found[column]]
                seeds = " ".join(f"{seed}:{value!r}" for seed, value in found["values"].items())
                own = [run[fact] for fact in facts]
                writer.writerow([name, *own, trial_set, figure, *values, seeds])
    return stream.getvalue()
