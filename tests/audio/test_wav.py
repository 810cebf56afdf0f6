import struct

import numpy as np
import pytest
import soundfile

from local.audio.checking import check_audio
from local.audio.reading import read_audio
from local.audio.wav import read_layout
from local.errors import InputError

NUM_BYTES = 8000


def write(folder, riff=None, data=None, after=b"", subtype="PCM_16"):
    """A WAV file of noise; other sizes in its header, and other bytes after it, if asked for."""
    path = folder / "a b.wav"
    samples = np.random.default_rng(0).normal(0, 0.1, NUM_BYTES // 2)
    soundfile.write(path, samples, 16000, subtype=subtype)
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    if riff is not None:
        content[4:8] = struct.pack("<I", riff)
    if data is not None:
        content[place : place + 4] = struct.pack("<I", data)
    path.write_bytes(bytes(content) + after)
    return path


def layout_of(path):
    return read_layout(path, path.stat().st_size)


@pytest.mark.parametrize("riff", [0, 24, 36, 0xFFFFFFFF, None])
@pytest.mark.parametrize("data", [0, 2, NUM_BYTES // 2])
def test_an_unfinished_header_is_said_to_be_one(tmp_path, riff, data):
    path = write(tmp_path, riff, data)
    with pytest.raises(InputError) as error:
        check_audio(path)
    assert str(error.value) == (
        f"{path} has an unfinished header: it speaks of {data} bytes of samples, and "
        f"{NUM_BYTES - data} more follow: repair it with: ffmpeg -ignore_length 1 -i '{path}' "
        f"-c copy '{tmp_path}/a b.repaired.wav'"
    )


@pytest.mark.parametrize("subtype", ["FLOAT", "ULAW", "PCM_24", "IMA_ADPCM"])
def test_unfinished_headers_of_other_codings(tmp_path, subtype):
    with pytest.raises(InputError, match="unfinished header: it speaks of 0 bytes"):
        check_audio(write(tmp_path, data=0, subtype=subtype))


@pytest.mark.parametrize("riff, data", [(8, 0), (0, None), (0xFFFFFFFF, None), (8, 0xFFFFFFFF)])
def test_what_is_known_from_the_size_of_the_file_is_read(tmp_path, riff, data):
    path = write(tmp_path, riff, data)
    info = check_audio(path)
    assert info.num_samples == NUM_BYTES // 2
    expected = read_audio(write(tmp_path))
    assert np.array_equal(read_audio(path, 0, info.num_samples), expected)


@pytest.mark.parametrize(
    "after",
    [b"", b"\0" * 5000, b"\n", b"TAG" + bytes(range(125)), b"LIST\x04\0\0\0abcd", b"id3 \1\0\0\0a"],
)
@pytest.mark.parametrize("data", [None, NUM_BYTES - 1])
def test_tags_and_zeros_may_follow(tmp_path, after, data):
    assert check_audio(write(tmp_path, data=data, after=after)).num_samples >= NUM_BYTES // 2 - 1


def test_one_recording_after_another_is_refused(tmp_path):
    content = write(tmp_path).read_bytes()
    with pytest.raises(InputError, match="it speaks of 8000 bytes of samples, and 8044 more"):
        check_audio(write(tmp_path, after=content))


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("audio_format", ["WAV", "WAVEX"])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32"])
def test_forms_of_pcm(tmp_path, audio_format, subtype, channels):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((10, channels)), 8000, subtype, format=audio_format)
    info = soundfile.info(path)
    num_channels, rate, block = layout_of(path).pcm_format()
    assert (num_channels, rate) == (info.channels, info.samplerate)
    assert layout_of(path).num_bytes == 10 * block


def test_other_files_have_no_layout(tmp_path):
    for name in ("a.flac", "a.aiff", "a.au"):
        soundfile.write(tmp_path / name, np.zeros(10), 8000)
        assert layout_of(tmp_path / name) is None


def test_the_long_sizes_of_rf64(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.ones(1000), 16000, "PCM_16", format="RF64")
    assert check_audio(path).num_samples == 1000
    content = path.read_bytes()
    place = content.index(b"ds64") + 16
    path.write_bytes(content[:place] + struct.pack("<Q", 500) + content[place + 8 :])
    with pytest.raises(InputError, match="it speaks of 500 bytes of samples, and 1500 more follow"):
        check_audio(path)


@pytest.mark.parametrize("audio_format", ["WAV", "WAVEX", "RF64"])
def test_the_beginning_of_a_file_is_no_recording(tmp_path, audio_format):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.ones(1000), 16000, "PCM_16", format=audio_format)
    content = path.read_bytes()
    for num_bytes in range(1, 120):
        path.write_bytes(content[:num_bytes])
        with pytest.raises(InputError, match="a.wav"):
            check_audio(path)
