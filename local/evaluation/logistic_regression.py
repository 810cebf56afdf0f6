"""Logistic regression whose classes have a given prior, whatever their numbers of trials."""

from typing import NamedTuple

import numpy as np
from scipy.special import entr, logit

# Half of this times the sum of the squared weights, of inputs of deviation 1, is added to the cost,
# as a share of what weights of 0 cost. On ordinary trials it moves no log-likelihood ratio by a
# millionth; where the inputs separate the classes, and infinite weights would cost least, it keeps
# them finite.
PENALTY = 1e-11
# Of the cost: the gain of a step from which on rounding is all that is left.
TOLERANCE = 1e-19
# About 10 are taken, and 25 to 60 where the inputs separate the classes.
MAX_STEPS = 200
# Bounds the memory, and stays in the processor's cache.
TRIALS_PER_BLOCK = 16384


class Point(NamedTuple):
    """The cost of some weights, with its derivatives.

    Arguments
    ---------
    cost : float
    gradient : np.ndarray
        (num_weights,)
    hessian : np.ndarray
        (num_weights, num_weights)
    """

    cost: float
    gradient: np.ndarray
    hessian: np.ndarray


def fit_llrs(inputs, is_client, p_target):
    """Finds the weights with which `inputs @ weights + offset` is a log-likelihood ratio.

    They have the least mean cost -log(posterior probability of the trial's class), the prior of a
    client being `p_target`, by Newton's method: the cost is convex. scipy.optimize would stop
    where the cost no longer falls, with half of the digits of the weights.

    Arguments
    ---------
    inputs : np.ndarray
        float64 (num_trials, num_inputs), finite.
    is_client : np.ndarray
        bool (num_trials,), both classes.
    p_target : float
        Between 0 and 1, both excluded.

    Returns
    -------
    weights : np.ndarray
        float64 (num_inputs,). That of an input that is the same in all trials is 0.
    offset : float

    Raises
    ------
    ValueError
        If the prior is outside its range, an input is not finite, or a class has no trial.

    Example
    -------
    >>> inputs = np.array([[0.0], [0.0], [1.0], [0.0], [1.0], [1.0]])
    >>> is_client = np.array([False, False, False, True, True, True])
    >>> weights, offset = fit_llrs(inputs, is_client, p_target=0.5)
    >>> (weights + offset).round(6), round(offset, 6)  # log(2/3 / 1/3), log(1/3 / 2/3)
    (array([0.693147]), -0.693147)
    """
    _check(inputs, is_client, p_target)
    means, deviations = _standardisation(inputs)
    cost_of_nothing = entr(p_target) + entr(1.0 - p_target)
    penalty = np.append(np.full(len(means), PENALTY * cost_of_nothing), 0.0)

    def point_at(weights):
        cost = _cost(inputs, is_client, p_target, means, deviations, weights)
        return _penalised(cost, penalty, weights)

    weights = _minimum(point_at, np.zeros(len(penalty)))
    weights[:-1] /= deviations
    return weights[:-1], float(weights[-1] - weights[:-1] @ means)


def _check(inputs, is_client, p_target):
    if not 0.0 < p_target < 1.0:
        raise ValueError(f"p_target must be between 0 and 1, got {p_target}")
    num_clients = np.count_nonzero(is_client)
    if num_clients in (0, len(is_client)):
        raise ValueError(f"both classes are needed: {num_clients} of {len(is_client)} are clients")
    if not np.isfinite(inputs).all():
        raise ValueError("inputs must be finite")


def _standardisation(inputs):
    """Mean and deviation of each column; a deviation of 1 if its values are all the same."""
    deviations = np.array([column.std() if np.ptp(column) else 0.0 for column in inputs.T])
    return inputs.mean(axis=0), np.where(deviations > 0.0, deviations, 1.0)


def _cost(inputs, is_client, p_target, means, deviations, weights):
    """The Point of the weights of standardised inputs, and of the offset behind them."""
    num_clients = np.count_nonzero(is_client)
    shares = p_target / num_clients, (1.0 - p_target) / (len(is_client) - num_clients)
    total = Point(0.0, 0.0, 0.0)
    for first in range(0, len(inputs), TRIALS_PER_BLOCK):
        block = slice(first, first + TRIALS_PER_BLOCK)
        rows = np.ones((len(is_client[block]), len(weights)))
        np.divide(inputs[block] - means, deviations, out=rows[:, :-1])
        point = _block_cost(rows, is_client[block], shares, logit(p_target), weights)
        total = Point(*(sum_ + part for sum_, part in zip(total, point, strict=True)))
    return total


def _block_cost(rows, is_client, shares, prior_log_odds, weights):
    share = np.where(is_client, *shares)
    away = np.where(is_client, -1.0, 1.0)
    # The log odds of the other class, and all that follows from them without overflow.
    log_odds = away * (rows @ weights + prior_log_odds)
    odds = np.exp(-np.abs(log_odds))
    of_other = np.where(log_odds > 0.0, 1.0, odds) / (1.0 + odds)
    curvature = share * odds / np.square(1.0 + odds)
    return Point(
        share @ (np.maximum(log_odds, 0.0) + np.log1p(odds)),
        (share * away * of_other) @ rows,
        (rows * curvature[:, None]).T @ rows,
    )


def _penalised(point, penalty, weights):
    return Point(
        point.cost + 0.5 * penalty @ np.square(weights),
        point.gradient + penalty * weights,
        point.hessian + np.diag(penalty),
    )


def _minimum(point_at, weights):
    """Newton's method, with steps halved until the cost falls as it should."""
    point = point_at(weights)
    for _ in range(MAX_STEPS):
        step = -np.linalg.solve(point.hessian, point.gradient)
        gain = -point.gradient @ step
        if gain <= TOLERANCE * point.cost:
            break
        weights, point = _descend(point_at, weights, point, step, gain)
    return weights


def _descend(point_at, weights, point, step, gain):
    # What rounding may add to a cost that no longer falls: it ends the halving, at the latest.
    slack = 1e-12 * point.cost
    while True:
        there = point_at(weights + step)
        if there.cost <= point.cost - 1e-4 * gain + slack:
            return weights + step, there
        step, gain = step / 2.0, gain / 2.0
