import struct

import numpy as np
import pytest
import soundfile

from local.audio.checking import check_audio
from local.audio.flac import last_sample
from local.errors import InputError


def write(path, num_samples, channels=1, subtype="PCM_16"):
    samples = np.random.default_rng(0).normal(0, 0.1, (num_samples, channels))
    soundfile.write(path, samples, 16000, subtype)
    return path


def with_length(path, num_samples):
    """Changes the number of samples in the header, which has 36 bits for it."""
    content = bytearray(path.read_bytes())
    content[21] = content[21] & 0xF0 | num_samples >> 32
    content[22:26] = struct.pack(">I", num_samples & 0xFFFFFFFF)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("num_samples", [1, 100, 4095, 4096, 4097, 8192, 50_000, 600_000])
@pytest.mark.parametrize("channels, subtype", [(1, "PCM_16"), (2, "PCM_24"), (8, "PCM_16")])
def test_the_last_sample(tmp_path, num_samples, channels, subtype):
    path = write(tmp_path / "a.flac", num_samples // channels + 1, channels, subtype)
    assert last_sample(path) == num_samples // channels + 1


@pytest.mark.parametrize("ending", [b"\xff\xf8", b"\xff\xf9\xc9", b"\xff\xf8\xc9\x18\xc2"])
def test_last_bytes_that_begin_like_a_frame(tmp_path, ending):
    # As do the checksums of one file in some ten thousand.
    path = write(tmp_path / "a.flac", 50_000)
    path.write_bytes(path.read_bytes() + ending)
    assert last_sample(path) == 50_000


@pytest.mark.parametrize("length", [1, 4096, 20_000, 49_999])
def test_more_samples_than_the_header_says(tmp_path, length):
    path = with_length(write(tmp_path / "a.flac", 50_000), length)
    with pytest.raises(InputError, match="a.flac has other samples than its header says: encode"):
        check_audio(path)


@pytest.mark.parametrize("length", [50_001, 60_000, 2**36 - 1])
def test_fewer_samples_than_the_header_says(tmp_path, length):
    path = with_length(write(tmp_path / "a.flac", 50_000), length)
    with pytest.raises(InputError, match="a.flac is truncated"):
        check_audio(path)


def test_one_recording_after_another(tmp_path):
    other = write(tmp_path / "b.flac", 30_000).read_bytes()
    path = write(tmp_path / "a.flac", 50_000)
    path.write_bytes(path.read_bytes() + other)
    with pytest.raises(InputError, match="a.flac (is truncated or damaged|has other samples)"):
        check_audio(path)


def test_a_tag_after_the_last_frame(tmp_path):
    path = write(tmp_path / "a.flac", 50_000)
    path.write_bytes(path.read_bytes() + b"TAG" + bytes(125))
    assert check_audio(path).num_samples == 50_000
