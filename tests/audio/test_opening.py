import struct

import numpy as np
import pytest
import soundfile

from local.audio.checking import check_audio
from local.audio.reading import read_audio, read_chunk
from local.errors import InputError


def write(path, num_channels=1, **form):
    samples = np.random.default_rng(0).normal(0, 0.1, (4000, num_channels))
    soundfile.write(path, samples, 16000, **form)
    return path


def with_rate(path, rate):
    """Changes the rate that the header of a WAV or AIFF-like file speaks of."""
    content = path.read_bytes()
    old = struct.pack("<I", 16000)
    path.write_bytes(content.replace(old, struct.pack("<I", rate), 1))
    return path


def read_chunk_of(path):
    return read_chunk(path, 0, 4000, 1000, np.random.default_rng(0))


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT", "ULAW"])
@pytest.mark.parametrize("rate", [0, 999, 768_001, 1_493_188_224, 2**32 - 1])
def test_rates_that_no_recording_has_are_refused(tmp_path, subtype, rate):
    path = with_rate(write(tmp_path / "a.wav", subtype=subtype), rate)
    for read in (check_audio, read_audio, read_chunk_of):
        with pytest.raises(InputError, match="a.wav (is at|can't be read as audio)"):
            read(path)


@pytest.mark.parametrize("rate", [1000, 768_000])
def test_the_lowest_and_the_highest_rate(tmp_path, rate):
    path = with_rate(write(tmp_path / "a.wav"), rate)
    assert check_audio(path).sample_rate == rate
    assert read_chunk_of(path).shape == (1000,)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_too_many_channels_are_refused(tmp_path, subtype):
    assert check_audio(write(tmp_path / "a.wav", 64, subtype=subtype)).num_channels == 64
    with pytest.raises(InputError, match="a.wav has 65 channels by its header"):
        check_audio(write(tmp_path / "a.wav", 65, subtype=subtype))


@pytest.mark.parametrize(
    "name, form",
    [
        ("a.wav", {"subtype": "GSM610"}),
        ("a.wav", {"subtype": "NMS_ADPCM_16"}),
        ("a.wav", {"subtype": "G721_32"}),
        ("a.sph", {"format": "AU", "subtype": "G723_24"}),
    ],
)
def test_codings_without_a_way_into_the_middle_are_refused(tmp_path, name, form):
    path = write(tmp_path / name, **form)
    command = f"ffmpeg -i {path} -c:a pcm_s16le {tmp_path / 'a.repaired.wav'}"
    with pytest.raises(InputError) as error:
        check_audio(path)
    assert str(error.value).endswith(f"can't be read from the middle: convert it with: {command}")


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.wav", "a.ogg"])
def test_files_that_macos_puts_beside_others_do_no_harm(tmp_path, name):
    path = write(tmp_path / name)
    expected = check_audio(path), read_audio(path).tolist()
    (tmp_path / f"._{name}").write_bytes(b"\0\5\x16\7" + bytes(78))
    assert (check_audio(path), read_audio(path).tolist()) == expected


def test_damaged_mp3_says_nothing_on_the_terminal(tmp_path, capfd):
    path = write(tmp_path / "a.mp3")
    content = bytearray(path.read_bytes())
    for place in np.random.default_rng(0).integers(1000, len(content), 300):
        content[place] ^= 0xFF
    path.write_bytes(content)
    for read in (check_audio, read_audio, read_chunk_of):
        try:
            read(path)
        except InputError as error:
            assert "a.mp3" in str(error)
    assert capfd.readouterr() == ("", "")


def test_a_pipe_is_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(InputError, match="a.wav is a pipe or device, not an audio file"):
        check_audio(tmp_path / "a.wav")
