"""A training that gets so many minutes: its epochs, its learning rate, its interruptions."""

import re
import runpy
from pathlib import Path

import pytest
from corpora import TINY, as_arguments, write_corpus

from local.training import clock
from local.training.clock import Clock

ROOT = Path(__file__).resolve().parents[2]


class Time:
    """A time that goes on by a step with each look at it."""

    def __init__(self, step=1.0):
        self.now, self.step = 0.0, step

    def monotonic(self):
        self.now += self.step
        return self.now


@pytest.fixture
def time(monkeypatch):
    monkeypatch.setattr(clock, "time", Time())
    return clock.time


def train(folder, corpus, **settings):
    settings = TINY | corpus | {"out_dir": str(folder / "out"), "number_of_epochs": 4} | settings
    main = runpy.run_path(str(ROOT / "recipes" / "train_vgg.py"))["main"]
    main([str(ROOT / "hparams" / "vgg.yaml"), "--noprogressbar", *as_arguments(settings)])
    text = (folder / "out" / "train_log.txt").read_text()
    return [(int(n), float(lr)) for n, lr in re.findall(r"updates: (\d+), lr: (\S+) ", text)]


def test_epochs_are_shares_of_the_minutes(tmp_path, time):
    corpus = write_corpus(tmp_path)
    epochs = train(tmp_path, corpus, minutes=1, lr=0.01)
    updates = [0, *(number for number, _ in epochs)]
    # A look at the time with each update; 15 of the 60 seconds for each epoch.
    assert len(epochs) == 4 and all(
        10 <= after - before <= 16 for before, after in zip(updates, updates[1:], strict=False)
    )
    rates = [lr for _, lr in epochs]
    assert (
        rates == sorted(rates, reverse=True)
        and rates[0] > 5e-3
        and rates[-1] == pytest.approx(0.004)
    )


def test_an_epoch_has_an_update_even_if_its_time_is_over(tmp_path, time):
    time.step = 1000.0
    epochs = train(tmp_path, write_corpus(tmp_path), minutes=1)
    assert [number for number, _ in epochs] == [1, 2, 3, 4]


def test_interruptions_do_not_count(time):
    own = Clock(minutes=1)
    own.start()
    before = own.seconds
    time.now += 1000.0
    resumed = Clock(minutes=1)
    resumed.start(before)
    assert resumed.seconds == before + 1.0 and resumed.share == (before + 2.0) / 60.0
