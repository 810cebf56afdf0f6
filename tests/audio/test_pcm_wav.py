import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from local.audio.pcm_wav import PcmWav

SAMPLES = np.arange(-5, 6, dtype="<i2")
DATA = SAMPLES.tobytes()


def wav(data=DATA, before=b"", after=b"", claimed=None, riff_size=None, channels=1):
    """The bytes of a WAV file of 16-bit PCM at 8 kHz."""
    frame_bytes = 2 * channels
    form = struct.pack("<HHIIHH", 1, channels, 8000, 8000 * frame_bytes, frame_bytes, 16)
    claimed = len(data) if claimed is None else claimed
    chunks = chunk(b"fmt ", form) + before + b"data" + struct.pack("<I", claimed) + data + after
    riff_size = 4 + len(chunks) if riff_size is None else riff_size
    return b"RIFF" + struct.pack("<I", riff_size) + b"WAVE" + chunks


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content


def opened(tmp_path, content, name="a.wav"):
    path = tmp_path / name
    path.write_bytes(content)
    return PcmWav.open(path)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"before": chunk(b"LIST", b"INFOabcd")},
        {"after": chunk(b"LIST", b"INFOabcd")},
        {"riff_size": 0},
        {"riff_size": 0xFFFFFFFF},
    ],
)
def test_plain_files_read_as_by_soundfile_or_are_left_to_it(tmp_path, changes):
    file = opened(tmp_path, wav(**changes))
    expected, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    if file is None:
        assert changes.get("riff_size") == 0
        return
    with file:
        assert (file.frames, file.samplerate, file.channels) == (len(expected), rate, 1)
        assert file.read(100).tolist() == expected.tolist()


@given(start=st.integers(0, 15), frames=st.integers(0, 15))
def test_windows_are_slices(tmp_path_factory, start, frames):
    content = wav(after=chunk(b"LIST", b"INFOabcd"))
    with opened(tmp_path_factory.mktemp("wav"), content) as file:
        file.seek(start)
        assert file.read(frames).tolist() == SAMPLES[start : start + frames].tolist()
        assert file.read(2).tolist() == SAMPLES[start + frames : start + frames + 2].tolist()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"RIFF",
        b"not audio at all",
        wav(data=b""),
        wav(claimed=1000),
        wav(claimed=0xFFFFFFFF),
        wav(channels=2),
        wav()[:30],
        wav().replace(b"RIFF", b"RIFX"),
        wav().replace(b"data", b"atad"),
    ],
)
def test_everything_else_is_left_to_soundfile(tmp_path, content):
    assert opened(tmp_path, content) is None


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM"])
def test_other_codings_are_left_to_soundfile(tmp_path, subtype):
    soundfile.write(tmp_path / "a.wav", np.zeros(1000), 16000, subtype=subtype)
    assert PcmWav.open(tmp_path / "a.wav") is None


def test_missing_files_and_other_extensions_are_left_to_soundfile(tmp_path):
    assert PcmWav.open(tmp_path / "none.wav") is None
    assert PcmWav.open(tmp_path) is None
    assert opened(tmp_path, wav(), "a.flac") is None
    with opened(tmp_path, wav(), "b.WAV") as file:
        assert file.frames == len(SAMPLES)
