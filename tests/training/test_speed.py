import functools

import pytest
import torch

from local.models.embedding import EmbeddingExtractor, EmbeddingHead
from local.models.pooling import POOLINGS, make_pooling
from local.models.vgg import VGG, vgg_channels
from local.training import speed
from local.training.speed import Speedometer, bf16_peak_flops, forward_flops, peak_utterances


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


def test_share_of_the_peak(clock):
    speedometer = Speedometer(seconds_each=1.0, peak_utterances=40.0)
    run_steps(clock, speedometer, [(0.0, 1.0, 10)])
    assert str(speedometer).endswith(", 25 % of the bf16 peak")


def test_an_epoch_without_steps_has_no_speed(clock):
    assert "0 utterances a second" in str(Speedometer(seconds_each=1.0))


def test_flops_of_the_published_front_end():
    # Three blocks of 3x3 convolutions on 347 x 80, 174 x 40, 87 x 20 and 44 x 10 places.
    channels = vgg_channels(4, 1024)
    places = (347 * 80, 174 * 40, 87 * 20, 44 * 10)
    expected, inputs = 0, 1
    for outputs, num_places in zip(channels, places, strict=True):
        expected += 2 * 9 * num_places * (inputs + outputs) * outputs
        inputs = outputs
    with torch.device("meta"):
        front_end = VGG(channels)
    assert forward_flops(front_end, 347, 80) == expected == 45_338_849_280


@pytest.mark.parametrize("name", POOLINGS)
def test_counting_leaves_the_extractor_as_it_is(name):
    pooling = functools.partial(make_pooling, name=name, num_heads=2)
    extractor = EmbeddingExtractor(VGG([4, 8], batch_norm=True), pooling, EmbeddingHead)
    before = {key: value.clone() for key, value in extractor.state_dict().items()}
    assert forward_flops(extractor, 50, 80) > forward_flops(extractor.front_end, 50, 80)
    assert extractor.training
    for key, value in extractor.state_dict().items():
        assert torch.equal(value, before[key])


def test_the_peak_is_what_products_reach(clock, monkeypatch):
    monkeypatch.setattr(speed, "MATRIX_SIZES", {"cpu": 64})

    def multiply(left, right, times):
        assert left.shape == right.shape == (64, 64) and left.dtype == torch.bfloat16
        clock.now += times / 1000

    monkeypatch.setattr(speed, "_multiply", multiply)
    assert bf16_peak_flops("cpu") == pytest.approx(2 * 64**3 * 1000)


def test_no_share_of_a_peak_is_shown_on_a_cpu():
    assert peak_utterances(torch.nn.Linear(80, 10), 3, 80, "cpu") is None
