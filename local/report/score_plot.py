"""The histogram of scores, with the thresholds that the figures speak of."""

import numpy as np
from matplotlib.figure import Figure


def score_histogram_figure(scores, is_client, thresholds=None):
    """Draws how the scores of clients and of impostors are distributed.

    Arguments
    ---------
    scores : array_like
        (num_trials,), finite.
    is_client : array_like of bool
        (num_trials,); both classes must be there.
    thresholds : dict of str to float, optional
        What a threshold is called, and where it is: marked by a line. One beyond the scores is
        named, but not drawn.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Bars of the share of each class, in percent.
    """
    # In float32, nearly equal scores leave no room for the edges of the bins.
    scores, is_client = np.asarray(scores, np.float64), np.asarray(is_client)
    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    axes = figure.add_subplot()
    edges = np.histogram_bin_edges(scores, bins=_num_bins(is_client))
    for name, chosen in (("impostors", ~is_client), ("clients", is_client)):
        counts, _ = np.histogram(scores[chosen], edges)
        total = np.count_nonzero(chosen)
        axes.stairs(
            100.0 * counts / total, edges, fill=True, alpha=0.5, label=f"{name} ({total:,})"
        )
    _mark(axes, thresholds or {}, edges)
    axes.set_xlabel("Score")
    axes.set_ylabel("Trials of the class [%]")
    axes.legend(fontsize="small")
    return figure


def _mark(axes, thresholds, edges):
    styles = ("-", "--", ":", "-.")
    for index, (name, threshold) in enumerate(thresholds.items()):
        style = {"color": f"C{index + 2}", "linestyle": styles[index % len(styles)]}
        label = f"{name}: {threshold:.3f}"
        if edges[0] <= threshold <= edges[-1]:
            axes.axvline(threshold, label=label, **style)
        else:
            axes.plot([], [], label=f"{label} (beyond the scores)", **style)


def _num_bins(is_client):
    """Rice's rule for the smaller class, within what is readable."""
    num_clients = int(np.count_nonzero(is_client))
    smaller = min(num_clients, len(is_client) - num_clients)
    return int(np.clip(2.0 * np.cbrt(smaller), 10, 100))
