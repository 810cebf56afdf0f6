"""What the tests of the augmentation share."""

import numpy as np
import pytest
import torch


@pytest.fixture
def chunks():
    """Function: some chunks of noise at the level of speech, float64 (batch, samples)."""

    def make(batch_size=4, num_samples=8000, seed=0):
        rng = np.random.default_rng(seed)
        return torch.from_numpy(1500 * rng.standard_normal((batch_size, num_samples)))

    return make


@pytest.fixture
def uniform():
    """Function: numbers for a part, float64 (batch, num_draws); the first says yes."""

    def draw(part, batch_size=4, seed=1):
        numbers = np.random.default_rng(seed).random((batch_size, part.num_draws))
        numbers[:, 0] = 0.0
        return torch.from_numpy(numbers)

    return draw
