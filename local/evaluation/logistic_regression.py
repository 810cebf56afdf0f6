"""Inputs and classes of trials to the weights of a log-likelihood ratio: logistic regression."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import entr, expit, logit

# Half of this times the sum of the squared weights, of inputs of deviation 1, is added to the cost,
# as a share of what weights of 0 cost. On ordinary trials it moves no log-likelihood ratio by a
# millionth; where the inputs separate the classes, and infinite weights would cost least, it keeps
# them finite.
PENALTY = 1e-11
# Far below the gradients of weights that matter: separable inputs need it to get their last digits.
GRADIENT_TOLERANCE = 1e-15


def fit_llrs(inputs, is_client, p_target):
    """Finds the weights with which `inputs @ weights + offset` is a log-likelihood ratio.

    They have the least mean cost -log(posterior probability of the trial's class), where clients
    have the prior `p_target`, whatever their share of the trials.

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
    """
    means = inputs.mean(axis=0)
    deviations = np.array([column.std() if np.ptp(column) else 1.0 for column in inputs.T])
    rows = np.column_stack([(inputs - means) / deviations, np.ones(len(inputs))])
    weights = _least_cost(rows, is_client, p_target)
    weights[:-1] /= deviations
    return weights[:-1], float(weights[-1] - weights[:-1] @ means)


def _least_cost(rows, is_client, p_target):
    """The weights of standardised inputs and, in the last column, of the offset."""
    num_clients = np.count_nonzero(is_client)
    shares = np.where(
        is_client, p_target / num_clients, (1.0 - p_target) / (len(rows) - num_clients)
    )
    away = np.where(is_client, -1.0, 1.0)
    penalty = np.full(rows.shape[1], PENALTY * (entr(p_target) + entr(1.0 - p_target)))
    penalty[-1] = 0.0

    def log_odds(weights):
        """Those of the wrong class, for each trial."""
        return away * (rows @ weights + logit(p_target))

    def cost(weights):
        costs = np.logaddexp(0.0, log_odds(weights))
        return shares @ costs + 0.5 * penalty @ np.square(weights)

    def gradient(weights):
        return (shares * away * expit(log_odds(weights))) @ rows + penalty * weights

    def hessian(weights):
        odds = log_odds(weights)
        curvatures = shares * expit(odds) * expit(-odds)
        return (rows.T * curvatures) @ rows + np.diag(penalty)

    start, options = np.zeros(rows.shape[1]), {"gtol": GRADIENT_TOLERANCE}
    found = minimize(cost, start, method="trust-exact", jac=gradient, hess=hessian, options=options)
    # Where rounding hides what a step gains, scipy stops, with half of the digits of the weights.
    return found.x - np.linalg.solve(hessian(found.x), found.jac)
