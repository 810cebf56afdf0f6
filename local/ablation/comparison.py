"""Figures of runs with several seeds to means, spreads, and differences with 95 % intervals."""

import numpy as np

from local.evaluation.intervals import interval


def compare(runs, reference, num_draws, seed=0):
    """Compares runs with one of them.

    Two things differ by chance: the speakers of the trials, and the seeds of the training. A draw
    takes as many speakers as there are and seeds, with replacement, the same for the run and the
    reference; its figure is the mean over the drawn seeds. Of S seeds it takes S - 1: drawing S
    would make the variance of the mean too small by (S - 1) / S, which is half of it for two
    seeds (rescaled bootstrap of Rao and Wu, https://doi.org/10.1080/01621459.1988.10478591).

    Arguments
    ---------
    runs : dict
        Run -> seed -> (figures, draws) on the same trials: dictionaries of each figure's value,
        and of its values in the draws of speakers, float64 (num_draws,), from
        `local.evaluation.intervals`, where all have the same speakers in a draw.
    reference : str
    num_draws : int
        Of the speakers; 0 for figures without draws.
    seed : int
        Of the draws of seeds.

    Returns
    -------
    results : dict
        Run -> figure -> a dictionary of
        values : seed -> value
        mean, deviation : over the seeds; the second is None for a single seed
        interval : [low, high] of the mean, or None without draws
        difference : to the reference, as the mean over the seeds that both have; or None
        difference_interval : [low, high], or None
        is_clear : whether that has no zero in it

    Example
    -------
    >>> draws = {"eer_percent": np.array([4.0, 6.0])}
    >>> runs = {"a": {1: ({"eer_percent": 5.0}, draws)}, "b": {1: ({"eer_percent": 5.5}, draws)}}
    >>> compare(runs, "a", num_draws=2)["b"]["eer_percent"]["difference_interval"]
    [0.0, 0.0]
    """
    return {
        run: {
            figure: _compare(run, figure, runs, reference, num_draws, seed)
            for figure in next(iter(seeds.values()))[0]
        }
        for run, seeds in runs.items()
    }


def _compare(run, figure, runs, reference, num_draws, seed):
    values = {number: figures[figure] for number, (figures, _) in runs[run].items()}
    result = {
        "values": values,
        "mean": float(np.mean(list(values.values()))),
        "deviation": float(np.std(list(values.values()), ddof=1)) if len(values) > 1 else None,
        "interval": None,
        "difference": None,
        "difference_interval": None,
        "is_clear": False,
    }
    draws = _drawn(runs[run], list(values), figure, num_draws, seed)
    if draws is not None:
        result["interval"] = interval(draws)
    others = runs.get(reference, {})
    common = [number for number in values if number in others]
    if run == reference or not common:
        return result
    differences = [values[number] - others[number][0][figure] for number in common]
    result["difference"] = float(np.mean(differences))
    drawn = [_drawn(seeds, common, figure, num_draws, seed) for seeds in (runs[run], others)]
    if all(draws is not None for draws in drawn):
        low, high = result["difference_interval"] = interval(drawn[0] - drawn[1])
        result["is_clear"] = bool(low > 0.0 or high < 0.0)
    return result


def _drawn(seeds, numbers, figure, num_draws, seed):
    """The mean of a figure over drawn seeds in each draw of speakers; None without draws."""
    draws = [seeds[number][1].get(figure, np.empty(0)) for number in numbers]
    if not num_draws or not len(draws[0]):
        return None
    draws = np.stack(draws)  # (num_seeds, num_draws)
    # The draws of speakers that have trials of both classes, the same for all.
    num_seeds, num_left = draws.shape
    rng = np.random.default_rng(seed)
    drawn = rng.integers(num_seeds, size=(max(1, num_seeds - 1), num_left))
    return np.take_along_axis(draws, drawn, axis=0).mean(axis=0)
