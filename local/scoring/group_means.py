"""Means of groups of rows that follow each other: crops of an utterance, utterances of a model."""

import numpy as np


def group_means(values, counts):
    """The mean of each group.

    Arguments
    ---------
    values : np.ndarray
        (sum of counts, ...): the rows of the first group, then those of the second, ...
    counts : np.ndarray
        int (num_groups,), above 0.

    Returns
    -------
    means : np.ndarray
        (num_groups, ...), of the type of the values.

    Example
    -------
    >>> group_means(np.array([1.0, 3.0, 5.0]), np.array([2, 1]))
    array([2., 5.])
    """
    sums = np.add.reduceat(values, np.cumsum(counts) - counts, axis=0)
    return sums / counts.astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
