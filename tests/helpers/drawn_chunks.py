"""Chunks, and the numbers that are drawn for them, for the tests of the augmentation."""

import numpy as np
import torch


def chunks(batch_size=4, num_samples=8000, seed=0):
    """Noise at the level of speech: float64 (batch, samples)."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(1500 * rng.standard_normal((batch_size, num_samples)))


def uniform(part, batch_size=4, seed=1):
    """Numbers for a part, float64 (batch, num_draws); the first says yes."""
    numbers = np.random.default_rng(seed).random((batch_size, part.num_draws))
    numbers[:, 0] = 0.0
    return torch.from_numpy(numbers)
