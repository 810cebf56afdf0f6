"""A train_log.txt to pictures of loss, accuracy, EER and learning rate over the epochs."""

import math
import re

from matplotlib.figure import Figure

from local.report.figure_files import svg_text

# Column -> title of its picture.
PANELS = {
    "train loss": "Training loss",
    "train accuracy_percent": "Training accuracy [%]",
    "valid EER_percent": "EER in validation [%]",
    "lr": "Learning rate",
}


def read_train_log(path):
    """Reads what SpeechBrain's FileTrainLogger wrote, a line for each epoch.

    Other lines are left out. Of two lines with one epoch, the later one counts.

    Returns
    -------
    epochs : dict
        Epoch, ascending -> column -> float; empty if the file can't be read.

    Example
    -------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "train_log.txt"
    >>> _ = path.write_text("epoch: 1, lr: 1.00e-03 - train loss: 3.1 - valid EER_percent: 12.8\\n")
    >>> read_train_log(path)
    {1: {'lr': 0.001, 'train loss': 3.1, 'valid EER_percent': 12.8}}
    """
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            rows = [_parse(line) for line in file]
    except OSError:
        return {}
    epochs = {int(row.pop("epoch")): row for row in rows if "epoch" in row}
    return dict(sorted(epochs.items()))


def _parse(line):
    """Column -> number; everything but finite numbers is left out."""
    row = {}
    for item in re.split(", | - ", line.strip()):
        column, _, text = item.rpartition(": ")
        try:
            value = float(text)
        except ValueError:
            continue
        if math.isfinite(value):
            row[column] = value
    return row


def training_figures(epochs):
    """The title of each picture that `read_train_log` has columns for -> matplotlib Figure."""
    figures = {}
    for column, title in PANELS.items():
        points = [(epoch, row[column]) for epoch, row in epochs.items() if column in row]
        if points:
            figures[title] = _figure(points, column == "valid EER_percent")
    return figures


def _figure(points, mark_lowest):
    figure = Figure(figsize=(5.0, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(*zip(*points, strict=True), marker="." if len(points) < 50 else "")
    if mark_lowest:
        epoch, lowest = min(points, key=lambda point: point[1])
        axes.plot(epoch, lowest, "o", color="C3", label=f"lowest: {lowest:.2f} %, epoch {epoch}")
        axes.legend(fontsize="small")
    axes.set_xlabel("Epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    return figure


def training_pictures(path):
    """(heading, what it shows in words, SVG text) of each curve of a `train_log.txt`."""
    epochs = read_train_log(path)
    return [
        (title, f"{title}: a curve over {len(epochs)} epochs", svg_text(figure))
        for title, figure in training_figures(epochs).items()
    ]
