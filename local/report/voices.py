"""The page of recipes/try_voices.py, and its pictures: a score beside its threshold, log-mels."""

from matplotlib.figure import Figure

from local.report.figure_files import svg_text
from local.report.report import FOLDER, page_template, picture_of
from local.report.score_plots import score_histogram_figure

_INCHES = 5.0, 3.4  # so small that letters can be read on a phone


def page_files(model, threshold):
    """The files of the page, for a PageServer; it says where model and threshold are from."""
    own = {name: (FOLDER / name).read_bytes() for name in ("voices.js", "tape.js", "voices.css")}
    page = page_template("voices.html").render(model=model, threshold=threshold).encode()
    style = (FOLDER / "report.css").read_bytes() + own.pop("voices.css")
    files = {f"/{name}": ("text/javascript", script) for name, script in own.items()}
    return files | {"/": ("text/html", page), "/voices.css": ("text/css", style)}


def score_picture(score, threshold, trials=None):
    """A score and its threshold (or None) among those of trials, or on an axis of their own.

    `trials` are (scores, is_client), each (num_trials,). Returns what `picture_of` does.
    """
    figure = score_histogram_figure(*trials) if trials else Figure(layout="constrained")
    alone = {"xlim": (-1.0, 1.02), "yticks": [], "xlabel": "Score"}
    axes = figure.axes[0] if trials else figure.add_subplot(**alone)
    figure.set_size_inches(_INCHES)
    axes.axvline(score, color="C3", linewidth=2.5, label=f"these two: {score:.3f}")
    alt = f"The score of {score:.3f}{' among those of clients and impostors' if trials else ''}"
    if threshold is not None:
        axes.axvline(threshold, color="black", linestyle="--", label=f"threshold: {threshold:.3f}")
        alt += f", {'above' if score >= threshold else 'below'} the threshold of {threshold:.3f}"
    axes.legend(fontsize="small")
    return picture_of("Score", alt, svg_text(figure))


def log_mel_picture(name, log_mel, seconds):
    """The log-mel energies of a recording, float (frames, num_mels); what `picture_of` returns."""
    figure = Figure(_INCHES, layout="constrained")
    axes = figure.add_subplot(xlabel="Time [s]", ylabel="Mel band")
    extent = 0.0, seconds, 0, log_mel.shape[1]
    axes.imshow(log_mel.T, origin="lower", aspect="auto", extent=extent, cmap="magma")
    return picture_of(name, f"Log-mel energies over {seconds:.1f} seconds", svg_text(figure))
