"""Evaluations to what a verification leaves in its directory: metrics, pictures and the report."""

import datetime

from local.evaluation.evaluate import difference, same_trials
from local.evaluation.summary import format_summary, format_table, write_json
from local.report.det_plot import det_figure
from local.report.figure_files import save_figure, svg_text
from local.report.report import write_report
from local.report.score_plots import calibration_figure, score_histogram_figure

UNCALIBRATED_NOTE = (
    "note: Cllr and actDCF take the scores for natural-log likelihood ratios; recipes/calibrate.py "
    "turns scores into these"
)


def write_outputs(output_dir, evaluations, costs, details=(), training_log=None, folders=()):
    """Writes metrics.json, the pictures as PNG and PDF, and report.html.

    The evaluations are of a system, of several that are compared, or of one on several lists.

    Arguments
    ---------
    output_dir : Path
    evaluations : list of local.evaluation.evaluate.Evaluation
    costs : local.evaluation.summary.Costs
    details : sequence of tuple
        (name, value) rows at the head of the report.
    training_log : Path, optional
        The train_log.txt whose curves the report shows.
    folders : sequence of Path
        In output_dir, one for each of several lists: they get their own metrics and pictures.

    Returns
    -------
    metrics : dict
        From `metrics_of`.
    """
    if len(folders) == 1:  # a single list has nothing of its own
        folders = ()
    metrics = metrics_of(evaluations, [folder.name for folder in folders])
    write_json(output_dir / "metrics.json", metrics)
    for evaluation, folder in zip(evaluations, folders, strict=bool(folders)):
        write_json(folder / "metrics.json", evaluation.summary)
    pictures = _pictures(output_dir, evaluations, costs, folders)
    for path, *_, figure in pictures:
        save_figure(figure, path)
    shown = [(heading, alt, svg_text(figure)) for _, heading, alt, figure in pictures]
    of_lists = [shown[1 + 2 * n : 3 + 2 * n] for n in range(len(folders))]
    write_report(
        output_dir / "report.html",
        "Speaker verification: " + ", ".join(e.name for e in evaluations),
        evaluations,
        shown[:1] if folders else shown,
        [*details, ("Date", datetime.date.today().isoformat())],
        training_log,
        of_lists,
    )
    return metrics


def metrics_of(evaluations, list_names=()):
    """What metrics.json holds: a summary; of several all, and of systems their differences."""
    if len(evaluations) == 1:
        return evaluations[0].summary
    if list_names:
        return {"lists": dict(zip(list_names, (e.summary for e in evaluations), strict=True))}
    return {
        "systems": {e.name: e.summary for e in evaluations},
        "differences": differences_of(evaluations),
    }


def differences_of(evaluations):
    """How each system differs from the first one on the same trials: see `difference`.

    That of a system that is alone on its trials is empty.
    """
    references = [
        next(e for e in evaluations if same_trials(e.trials, evaluation.trials))
        for evaluation in evaluations
    ]
    found = {}
    for evaluation, reference in zip(evaluations[1:], references[1:], strict=True):
        if reference is not evaluation:
            found[f"{evaluation.name} - {reference.name}"] = difference(evaluation, reference)
        elif sum(other is evaluation for other in references) == 1:
            found[f"{evaluation.name} - {evaluations[0].name}"] = {}
    return found


def _pictures(output_dir, evaluations, costs, folders):
    """(path without extension, heading, what it shows in words, figure) of each picture.

    That of all evaluations comes first, then two of each.
    """
    det = det_figure(
        {e.name: e.curve for e in evaluations},
        costs,
        {e.name: e.intervals for e in evaluations},
        [e.name for e in evaluations if e.summary["is_calibrated"]],
    )
    alt = "Miss rate over false-alarm rate on normal-deviate axes, with the EER"
    pictures = [(output_dir / "det", "Detection error trade-off", alt, det)]
    for number, evaluation in enumerate(evaluations, 1):
        folder, suffix, of = output_dir, "", ""
        if folders:
            folder = folders[number - 1]
        elif len(evaluations) > 1:
            suffix, of = f"_{number}", f": {evaluation.name}"
        alt = "How the scores of clients and of impostors are distributed, with thresholds"
        histogram = _histogram(evaluation, costs)
        pictures.append((folder / f"scores{suffix}", f"Scores{of}", alt, histogram))
        alt = "Scores beside the best log-likelihood ratios, and costs over the prior"
        figure = calibration_figure(evaluation.curve, costs.p_targets)
        pictures.append((folder / f"calibration{suffix}", f"Calibration{of}", alt, figure))
    return pictures


def _histogram(evaluation, costs):
    thresholds = {"EER": evaluation.summary["eer_threshold"]}
    kind = "act" if evaluation.summary["is_calibrated"] else "min"
    for prior in costs.p_targets:
        threshold = evaluation.summary[f"{kind}_dcf_{prior}_threshold"]
        thresholds[f"{kind}DCF({prior:g})"] = threshold
    return score_histogram_figure(evaluation.scores, evaluation.trials.is_client, thresholds)


def format_results(output_dir, evaluations, metrics):
    """The text to print: tables with notes, the differences of systems, the paths of the files."""
    parts, in_full = [], evaluations
    if "lists" in metrics:
        parts, in_full = [_format_lists(metrics["lists"])], []
    for evaluation in in_full:
        notes = [f"WARNING: {warning}" for warning in evaluation.summary["warnings"]]
        notes += [f"note: {note}" for note in evaluation.summary["notes"]]
        if not evaluation.summary["is_calibrated"]:
            notes.append(UNCALIBRATED_NOTE)
        parts.append("\n".join([evaluation.name, format_summary(evaluation.summary), *notes]))
    differences = format_differences(metrics)
    parts += [differences] if differences else []
    parts.append(
        f"Metrics:  {output_dir}/metrics.json\n"
        f"Pictures: {output_dir}/*.png, *.pdf\n"
        f"Report:   {output_dir}/report.html"
    )
    return "".join(f"\n{part}\n" for part in parts).rstrip()


def _format_lists(summaries):
    """A table of all lists, and what is to be said of some of them."""
    notes = [
        f"{kind}: {name}: {text}"
        for kind, key in (("WARNING", "warnings"), ("note", "notes"))
        for name, summary in summaries.items()
        for text in summary[key]
    ]
    return "\n".join([format_table(summaries), *notes])


def format_differences(metrics):
    """Lines that say how the EER of systems differs; "" for the metrics of a single system."""
    lines = []
    for pair, values in metrics.get("differences", {}).items():
        if not values:
            lines.append(f"{pair}: not the same trials, or no intervals")
            continue
        eer = values["eer_percent"]
        low, high = eer["interval"]
        lines.append(f"{pair}: EER {eer['difference']:+.3f} points [{low:+.3f}, {high:+.3f}]")
    return "\n".join(lines)
