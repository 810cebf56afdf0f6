"""What is wrong with the level of a recording, and what isn't."""

import numpy as np
import pytest
import soundfile

from local.audio.reading import read_audio
from local.embeddings.levels import CLIPPED, CONSTANT, FINE, QUIET, judge_level, warn_of_levels


def noise(deviation, num_samples=16000):
    samples = np.random.default_rng(0).normal(0, deviation, num_samples)
    return np.clip(samples, -32768, 32767).astype(np.int16)


@pytest.mark.parametrize(
    "samples, level",
    [
        (np.zeros(16000), CONSTANT),
        (np.zeros(1), CONSTANT),
        (np.full(16000, -32768), CONSTANT),
        (np.full(300, 5), CONSTANT),
        (noise(3), QUIET),
        (noise(3) + 300, QUIET),
        (noise(300), FINE),
        (noise(300) + 3000, FINE),
        (noise(9000), FINE),  # a sample in 5000 is clipped
        (noise(20000), CLIPPED),
        (np.where(np.arange(16000) < 8000, 0, noise(1000)), FINE),
    ],
)
def test_levels(samples, level):
    assert judge_level(np.asarray(samples, np.int16)) == level


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
@pytest.mark.parametrize("value", [0, 5, 1000, -16000])
def test_a_constant_is_one_at_any_rate(tmp_path, rate, value):
    soundfile.write(tmp_path / "a.wav", np.full(rate, value, np.int16), rate)
    assert judge_level(read_audio(tmp_path / "a.wav")) == CONSTANT


def test_not_all_names_are_shown(caplog):
    names = [f"name{number}" for number in range(12)]
    warn_of_levels(np.full(12, QUIET, np.int8), names, (QUIET, CLIPPED))
    (record,) = caplog.records
    assert "12 recordings are nearly silent" in record.message
    assert record.message.endswith("name9 and 2 more")
