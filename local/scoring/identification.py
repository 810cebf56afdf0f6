"""Embeddings of people and of recordings to the people whom each recording sounds like most."""

import numpy as np

from local.scoring.cosine import CELLS_PER_BLOCK, unit_length


def nearest(people, names, tests, test_names, num_nearest):
    """The people with the highest cosines for each recording.

    Arguments
    ---------
    people : np.ndarray
        float32 (num_people, embedding_size), one or more.
    names : list of str
        Of the people.
    tests : np.ndarray
        float32 (num_recordings, embedding_size)
    test_names : list of str
        Of the recordings.
    num_nearest : int
        Fewer if there are fewer people.

    Returns
    -------
    rows : np.ndarray
        int (num_recordings, num_nearest), into people; the highest comes first.
    scores : np.ndarray
        float32 (num_recordings, num_nearest)

    Raises
    ------
    InputError
        If an embedding is zero or not finite.

    Example
    -------
    >>> people = np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
    >>> rows, scores = nearest(people, ["a", "b", "c"], np.array([[0.0, 2.0]]), ["x"], 2)
    >>> rows.tolist(), scores.astype(float).round(3).tolist()
    ([[1, 2]], [[1.0, 0.8]])
    """
    people, tests = unit_length(people, names), unit_length(tests, test_names)
    num_nearest = min(num_nearest, len(people))
    rows = np.empty((len(tests), num_nearest), int)
    scores = np.empty(rows.shape, np.float32)
    block_size = max(1, CELLS_PER_BLOCK // len(people))
    for first in range(0, len(tests), block_size):
        block = slice(first, first + block_size)
        cosines = tests[block] @ people.T
        # Of equal cosines, the one who was enrolled first.
        rows[block] = np.argsort(-cosines, axis=1, kind="stable")[:, :num_nearest]
        scores[block] = np.take_along_axis(cosines, rows[block], axis=1)
    return rows, scores


def prior_of_each(p_known, num_people):
    """The prior probability of one person in the comparison with nobody of the people.

    Who speaks is one of the people, all equally likely, with the probability `p_known`, and else a
    stranger. The most probable answer is then the person with the highest score if it is above the
    threshold for this prior: that for one person, and higher by log(num_people) in log-likelihood
    ratios, as each of the people is another chance to take a stranger for somebody.

    Example
    -------
    >>> prior_of_each(0.5, 1), round(prior_of_each(0.5, 99), 6)
    (0.5, 0.01)
    """
    return p_known / (p_known + num_people * (1.0 - p_known))
