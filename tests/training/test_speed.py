import pytest

from local.training import speed
from local.training.speed import Speedometer


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until its `now` is changed."""

    class Clock:
        now = 100.0

        def perf_counter(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(speed, "time", clock)
    return clock


def run_steps(clock, speedometer, steps):
    """Steps of (seconds of waiting before, seconds of the step itself, utterances)."""
    for waiting, working, num_utterances in steps:
        clock.now += waiting
        with speedometer.step(num_utterances):
            clock.now += working


def test_rates_and_waiting(clock):
    speedometer = Speedometer(seconds_each=1.8)
    run_steps(clock, speedometer, [(1.0, 2.0, 30), (0.0, 4.0, 30), (1.0, 2.0, 40)])
    clock.now += 50.0  # validation
    assert speedometer.utterances_per_second == pytest.approx(10.0)
    assert speedometer.waiting_share == pytest.approx(0.2)
    assert str(speedometer) == (
        "10 utterances a second, 0.005 hours of audio a second, 20.0 % of the time waiting for data"
    )


def test_epochs_are_counted_apart(clock):
    speedometer = Speedometer(seconds_each=1.0)
    run_steps(clock, speedometer, [(7.0, 1.0, 10)])
    clock.now += 50.0
    speedometer.start_epoch()
    run_steps(clock, speedometer, [(0.0, 2.0, 10)])
    assert speedometer.utterances_per_second == pytest.approx(5.0)
    assert speedometer.waiting_share == pytest.approx(0.0)


def test_an_epoch_without_steps_has_no_speed(clock):
    assert "0 utterances a second" in str(Speedometer(seconds_each=1.0))
