import numpy as np
import pytest

from local.evaluation.open_set import open_set_figures

# Four recordings of people, the third taken for another; three of strangers.
SCORES = np.array([0.9, 0.5, 0.8, 0.3, 0.7, 0.4, 0.2], np.float32)
IS_RIGHT = np.array([True, True, False, True, False, False, False])
IS_KNOWN = np.arange(7) < 4


def figures(threshold, rows=slice(None)):
    return open_set_figures(SCORES[rows], IS_RIGHT[rows], IS_KNOWN[rows], threshold)


def test_by_hand():
    found = figures(0.5)
    assert (found["num_known"], found["num_unknown"]) == (4, 3)
    assert found["identification_percent"] == 75.0
    # The last is below the threshold, the third above it by another's name.
    assert found["miss_percent"] == 50.0
    assert found["false_alarm_percent"] == pytest.approx(100 / 3)
    # From 0.4 to 0.5, 2 of 4 are missed; the false alarms fall from 2 to 1 of 3.
    assert found["equal_percent"] == pytest.approx(50.0)
    assert found["equal_threshold"] == np.float32(0.4)


def test_a_score_at_the_threshold_is_accepted():
    assert figures(0.9)["miss_percent"] == 75.0
    assert figures(0.91)["miss_percent"] == 100.0
    assert figures(-1.0)["miss_percent"] == 25.0  # who goes by another name


def test_what_is_not_known_is_left_out():
    assert set(figures(None)) == {
        *("num_known", "num_unknown", "identification_percent"),
        *("equal_percent", "equal_threshold"),
    }
    assert "false_alarm_percent" not in figures(0.5, slice(0, 4))
    only_strangers = figures(0.5, slice(4, 7))
    assert set(only_strangers) == {"num_known", "num_unknown", "false_alarm_percent"}
