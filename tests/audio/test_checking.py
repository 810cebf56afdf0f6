import struct

import numpy as np
import pytest
import soundfile

from local.audio.checking import AudioInfo, check_audio
from local.errors import InputError

FORMATS = [
    ("a.wav", None, "PCM_16"),
    ("a.wav", None, "FLOAT"),
    ("a.wav", None, "IMA_ADPCM"),
    ("a.flac", None, "PCM_16"),
    ("a.ogg", None, "VORBIS"),
    ("a.opus", "OGG", "OPUS"),
    ("a.mp3", None, "MPEG_LAYER_III"),
    ("a.sph", "NIST", "PCM_16"),
]


def write_noise(path, audio_format=None, subtype=None, num_channels=1):
    noise = np.random.default_rng(0).normal(0, 0.1, (32000, num_channels))
    soundfile.write(path, noise, 16000, format=audio_format, subtype=subtype)
    return path


@pytest.mark.parametrize("name, audio_format, subtype", FORMATS)
def test_sound_files_pass(tmp_path, name, audio_format, subtype):
    path = write_noise(tmp_path / name, audio_format, subtype)
    info = check_audio(path)
    assert info == AudioInfo(soundfile.info(path).frames, 16000, 1)
    assert 32000 <= info.num_samples < 33000


@pytest.mark.parametrize("num_channels", [1, 2])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "ULAW"])
def test_wav_as_by_soundfile(tmp_path, subtype, num_channels):
    path = write_noise(tmp_path / "a.WAV", "WAV", subtype, num_channels)
    path.write_bytes(path.read_bytes() + b"LIST\x08\0\0\0INFOabcd")
    info = soundfile.info(path)
    assert check_audio(path) == AudioInfo(info.frames, info.samplerate, num_channels)


def test_rate_and_channels(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.zeros((10, 2)), 44100)
    assert check_audio(path) == AudioInfo(num_samples=10, sample_rate=44100, num_channels=2)


@pytest.mark.parametrize("fraction", [0.8, 0.99])
@pytest.mark.parametrize("name, audio_format, subtype", FORMATS)
def test_truncated(tmp_path, name, audio_format, subtype, fraction):
    path = write_noise(tmp_path / name, audio_format, subtype)
    content = path.read_bytes()
    path.write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(InputError, match=f"{name} is truncated"):
        check_audio(path)


@pytest.mark.parametrize("name, subtype", [("a.ogg", "VORBIS"), ("a.opus", "OPUS")])
def test_ogg_without_its_last_page_is_truncated(tmp_path, name, subtype):
    path = write_noise(tmp_path / name, "OGG", subtype)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"OggS")])
    with pytest.raises(InputError, match=f"{name} is truncated"):
        check_audio(path)


def test_wav_cut_after_its_header_is_truncated(tmp_path):
    path = write_noise(tmp_path / "a.wav")
    path.write_bytes(path.read_bytes()[:44])
    with pytest.raises(InputError, match="a.wav is truncated"):
        check_audio(path)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000])
def test_wav_written_to_a_pipe_is_not_truncated(tmp_path, size):
    path = write_noise(tmp_path / "a.wav")
    content = bytearray(path.read_bytes())
    assert content[36:40] == b"data"
    content[40:44] = struct.pack("<I", size)
    path.write_bytes(content)
    assert check_audio(path).num_samples == 32000


def test_flac_without_its_length(tmp_path):
    path = write_noise(tmp_path / "a.flac")
    content = bytearray(path.read_bytes())
    # The last 36 bits before the checksum in the stream information: the number of samples.
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(InputError, match="a.flac doesn't say in its header how long it is"):
        check_audio(path)


def test_missing(tmp_path):
    with pytest.raises(InputError, match="none.wav can't be read: No such file or directory"):
        check_audio(tmp_path / "none.wav")


def test_directory(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path} is a directory, not an audio file"):
        check_audio(tmp_path)


def test_empty(tmp_path):
    (tmp_path / "a.wav").touch()
    with pytest.raises(InputError, match=r"a.wav is an empty file \(0 bytes\)"):
        check_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3"])
def test_no_audio(tmp_path, name):
    (tmp_path / name).write_text("this is no audio\n" * 100)
    with pytest.raises(InputError, match=f"{name} can't be read as audio"):
        check_audio(tmp_path / name)


@pytest.mark.parametrize("name, audio_format", [("a.wav", "WAV"), ("a.sph", "NIST")])
def test_no_samples(tmp_path, name, audio_format):
    soundfile.write(tmp_path / name, np.zeros(0), 16000, format=audio_format, subtype="PCM_16")
    with pytest.raises(InputError, match=f"{name} has 0 samples"):
        check_audio(tmp_path / name)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_samples_that_are_not_finite(tmp_path, subtype, value):
    samples = np.zeros((32000, 2))
    samples[31999, 1] = value
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype=subtype)
    with pytest.raises(InputError, match="a.wav holds samples that are NaN or infinite"):
        check_audio(tmp_path / "a.wav")


def test_float_samples_at_the_scale_of_integers(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([0.0, -3000.0]), 16000, subtype="FLOAT")
    with pytest.raises(
        InputError, match="a.wav has samples up to 3000: float-coded audio must lie"
    ):
        check_audio(tmp_path / "a.wav")


def test_float_samples_a_little_out_of_range_pass(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([0.0, -1.7]), 16000, subtype="FLOAT")
    assert check_audio(tmp_path / "a.wav").num_samples == 2
