import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from local.audio.reading import read_audio, read_chunk
from local.errors import InputError


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def write_ramp(path, num_samples, rate=16000):
    """Sample i is i, so that what was read says where it was read."""
    soundfile.write(path, np.arange(num_samples, dtype=np.int16), rate)
    return path


def tone(num_samples, rate, frequency=440.0, level=0.5):
    return level * np.sin(2 * np.pi * frequency / rate * np.arange(num_samples))


# ---- whole utterances


def test_read_part(tmp_path):
    path = write_ramp(tmp_path / "a.wav", 100)
    assert read_audio(path).tolist() == list(range(100))
    assert read_audio(path, start=7, stop=9).tolist() == [7, 8]


def test_channels_are_averaged(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([[100, 300], [-32768, -32768], [32767, 32767]], np.int16), 16000)
    assert read_audio(path).tolist() == [200, -32768, 32767]


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_float_coded_audio_is_scaled_and_clipped(tmp_path, subtype):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([0.0, 0.5, -1.0, 1.5, -1.5]), 16000, subtype=subtype)
    assert read_audio(path).tolist() == [0, 16384, -32768, 32767, -32768]


@pytest.mark.parametrize(
    "extension, subtype",
    [(".wav", "PCM_24"), (".wav", "PCM_U8"), (".flac", "PCM_24"), (".ogg", "VORBIS")]
    + [(".wav", "ULAW"), (".ogg", "OPUS"), (".mp3", "MPEG_LAYER_III")],
)
def test_loud_audio_of_every_coding_keeps_its_shape(tmp_path, extension, subtype):
    # Lossy codings of a loud sine exceed the range: wrapped around, half of it would change sign.
    sine = tone(16000, 16000, level=0.999)
    path = tmp_path / f"a{extension}"
    soundfile.write(path, sine, 16000, subtype=subtype)
    error = read_audio(path)[:16000] / 32768 - sine
    assert np.sqrt(np.mean(error[1000:-1000] ** 2)) < 0.05


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_other_rates_are_resampled(tmp_path, rate):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(rate, rate), rate)
    samples = read_audio(path)
    assert len(samples) == 16000
    error = samples[500:-500] / 32768 - tone(16000, 16000)[500:-500]
    assert np.abs(error).max() < 0.005


@pytest.mark.parametrize("rate", [1001, 15999, 22255, 44101, 95999, 767999])
def test_rates_without_a_common_divisor_are_nearly_exact(tmp_path, rate):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(rate, rate, frequency=110.0), rate)
    samples = read_audio(path)
    assert abs(len(samples) - 16000) <= 1
    # After a second, a rate that is off by 63 millionths is off by a 23rd of a radian here.
    error = samples[500:15500] / 32768 - tone(16000, 16000, frequency=110.0)[500:15500]
    assert np.abs(error).max() < 0.5 / 23


def test_read_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="gone.wav can't be read"):
        read_audio(tmp_path / "gone.wav")


# ---- chunks


def test_chunk_is_a_part_of_the_utterance(tmp_path, rng):
    path = write_ramp(tmp_path / "a.wav", 1000)
    for _ in range(50):
        chunk = read_chunk(path, 100, 200, 30, rng)
        assert chunk.tolist() == list(range(chunk[0], chunk[0] + 30))
        assert 100 <= chunk[0] <= 170


def test_all_chunks_are_equally_probable(tmp_path, rng):
    path = write_ramp(tmp_path / "a.wav", 20)
    starts = [read_chunk(path, 3, 10, 4, rng)[0] for _ in range(4000)]
    counts = np.bincount(starts, minlength=20)
    assert set(np.flatnonzero(counts)) == {3, 4, 5, 6}
    # Four deviations of a binomial count.
    assert np.abs(counts[3:7] - 1000).max() < 4 * np.sqrt(4000 * 0.25 * 0.75)


def test_chunk_of_the_whole_utterance(tmp_path, rng):
    path = write_ramp(tmp_path / "a.wav", 10)
    assert read_chunk(path, 2, 8, 6, rng).tolist() == [2, 3, 4, 5, 6, 7]


def test_short_utterance_is_repeated(tmp_path, rng):
    path = write_ramp(tmp_path / "a.wav", 10)
    chunk = read_chunk(path, 4, 7, 8, rng)
    steps = set(zip(chunk[:-1].tolist(), chunk[1:].tolist(), strict=True))
    assert steps == {(4, 5), (5, 6), (6, 4)}


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(1, 300),
    num_samples=st.integers(1, 500),
    rate=st.sampled_from([8000, 11025, 16000, 44100, 48000, 96000, 12345, 44101, 767999]),
    channels=st.integers(1, 3),
)
def test_chunk_has_its_length_whatever_the_file(
    tmp_path_factory, length, num_samples, rate, channels
):
    path = tmp_path_factory.mktemp("audio") / "a.wav"
    soundfile.write(path, np.full((length, channels), 1000, np.int16), rate)
    chunk = read_chunk(path, 0, length, num_samples, np.random.default_rng(0))
    assert chunk.shape == (num_samples,)
    assert chunk.dtype == np.int16


def test_resampled_chunk_is_part_of_the_resampled_utterance(tmp_path, rng):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(8000, 8000, frequency=200), 8000)
    chunk = read_chunk(path, 0, 8000, 4000, rng)[100:-100] / 32768
    phases = np.exp(2j * np.pi * 200 / 16000 * np.arange(len(chunk)))
    assert 2 * np.abs(np.mean(chunk * phases)) == pytest.approx(0.5, abs=0.01)


def test_float_chunk_is_scaled(tmp_path, rng):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full(100, 0.25), 16000, subtype="FLOAT")
    assert set(read_chunk(path, 0, 100, 20, rng).tolist()) == {8192}


def test_file_that_is_shorter_than_its_manifest_says(tmp_path, rng):
    path = write_ramp(tmp_path / "a.wav", 100)
    with pytest.raises(
        InputError, match=r"a.wav: has no samples 0 to 150: make its manifest again"
    ):
        read_chunk(path, 0, 150, 150, rng)


def test_chunk_of_a_missing_file(tmp_path, rng):
    with pytest.raises(InputError, match="gone.flac can't be read"):
        read_chunk(tmp_path / "gone.flac", 0, 10, 5, rng)
