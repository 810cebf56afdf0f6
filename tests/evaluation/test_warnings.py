"""What is said of scores whose figures would mislead."""

import numpy as np
import pytest

from local.evaluation.metrics import eer
from local.evaluation.warnings import collapse_warning, score_warnings
from local.scoring.cosine import dot_scores, unit_length

IS_CLIENT = np.arange(1000) % 2 == 0


def warnings_of(scores, is_client=IS_CLIENT):
    return score_warnings(scores, 100.0 * eer(scores, is_client)[0])


def cosines(spread, seed=0):
    """Scores of embeddings that are alike but for some noise."""
    rng = np.random.default_rng(seed)
    rows = unit_length(1.0 + spread * rng.standard_normal((50, 16)), list(range(50)))
    enrol = np.arange(1000) % 50
    return dot_scores(rows, rows, enrol, (enrol + 1 + np.arange(1000) // 50) % 50)


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 0.999])
def test_equal_scores(value):
    (warning,) = warnings_of(np.full(1000, value, np.float32))
    assert warning.startswith(f"All scores are equal ({value:.6f})") and "collapsed" in warning


def test_embeddings_that_are_all_alike():
    for spread in (1e-6, 1e-3):
        (warning,) = warnings_of(cosines(spread))
        assert warning.startswith("Nearly all scores are equal (98 % of them from ")
    one_other = cosines(1e-4)
    one_other[7] = -0.5
    assert "Nearly all scores are equal" in warnings_of(one_other)[0]


def test_scores_that_only_guess():
    scores = np.random.default_rng(0).standard_normal(1000)
    assert warnings_of(scores) == [
        "The scores tell clients from impostors hardly better than guessing (EER 50 %)."
    ]


def test_scores_the_wrong_way_round():
    noise = np.random.default_rng(0).standard_normal(1000)
    (warning,) = warnings_of(noise - 3 * IS_CLIENT)
    assert warning.startswith("Impostor trials score higher than client trials")


def test_nothing_is_said_of_scores_that_work():
    noise = np.random.default_rng(0).standard_normal(1000)
    assert warnings_of(noise + IS_CLIENT) == []
    # All cosines are close to 1, as embeddings share a large mean, and yet tell speakers apart.
    assert warnings_of(0.9999 + 1e-5 * (noise + 3 * IS_CLIENT)) == []
    assert collapse_warning([0.2, 0.9], 0.0) == ""
