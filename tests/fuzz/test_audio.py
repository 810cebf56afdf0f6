"""Damaged audio files of every kind, through all that reads audio.

    python tests/fuzz/test_audio.py --cases 100000

A file is refused by the check with a message that names it, or it is read whole, at another rate
and by chunks.
"""

import io
import tempfile
from pathlib import Path

import fuzzing
import numpy as np
import scipy.signal  # noqa: F401  it takes a second, which no case should be charged with
import soundfile

from local.audio.checking import check_audio
from local.audio.reading import read_audio, read_chunk
from local.errors import InputError

FORMS = [
    (".wav", "WAV", "PCM_16 PCM_U8 PCM_24 FLOAT DOUBLE ULAW IMA_ADPCM MS_ADPCM GSM610 G721_32"),
    (".wav", "WAVEX", "PCM_16 FLOAT"),
    (".wav", "RF64", "PCM_16"),
    (".wav", "W64", "PCM_16 IMA_ADPCM"),
    (".wav", "NIST", "PCM_16"),
    (".sph", "NIST", "PCM_16 ULAW"),
    (".flac", "FLAC", "PCM_16 PCM_24"),
    (".ogg", "OGG", "VORBIS"),
    (".opus", "OGG", "OPUS"),
    (".mp3", "MP3", "MPEG_LAYER_III MPEG_LAYER_III MPEG_LAYER_III"),
    (".aiff", "AIFF", "PCM_16 FLOAT IMA_ADPCM"),
    (".au", "AU", "PCM_16 G723_24"),
    (".caf", "CAF", "PCM_16 ALAC_16"),
    (".voc", "VOC", "PCM_16"),
    (".sf", "IRCAM", "PCM_16"),
]
NUM_SAMPLES = 6000


def sound_files():
    """(extension, content) of files of every form, mono and stereo."""
    rng = np.random.default_rng(0)
    files = []
    for extension, audio_format, subtypes in FORMS:
        for number, subtype in enumerate(subtypes.split()):
            for channels, rate in ((1, 16000), (2, 48000)):
                if channels == 2 and subtype in ("GSM610", "G721_32", "G723_24"):
                    continue
                file = io.BytesIO()
                samples = rng.normal(0, 0.1, (NUM_SAMPLES, channels))
                soundfile.write(file, samples, rate, subtype, format=audio_format)
                content = file.getvalue()
                # MP3 also with a tag, and without its first frame, which notes the length.
                if audio_format == "MP3" and number:
                    tag = b"ID3\3\0\0\0\0\1\0" + bytes(128) + content + b"TAG" + bytes(125)
                    content = tag if number == 1 else content[content.index(content[:2], 4) :]
                files.append((extension, content))
    return files


FILES = sound_files()
FOLDER = tempfile.TemporaryDirectory()


def damaged(rng):
    """(extension, content) of a damaged file; of most, the beginning is."""
    extension, content = rng.choice(FILES)
    end = rng.choice((16, 48, 64, 256, len(content)))
    content = (
        fuzzing.mutate_bytes(rng, content[:end], words=("RIFF", "data", "Xing")) + content[end:]
    )
    if rng.random() < 0.1:
        content += rng.choice((rng.randbytes(300), rng.choice(FILES)[1]))
    if rng.random() < 0.1:
        extension = rng.choice(FILES)[0]
    return extension, content


def case(rng):
    """Tries one file."""
    extension, content = damaged(rng)
    path = Path(FOLDER.name, f"case{extension}")
    path.write_bytes(content)
    try:
        info = check_audio(path)
        read(path, info, np.random.default_rng(0))
    except InputError as error:
        assert str(path) in str(error), error
        raise


def read(path, info, rng):
    length = info.num_samples
    try:
        whole = read_audio(path, 0, length, info.sample_rate)
        read_audio(path, 0, length, 16000)
        chunks = [read_chunk(path, 0, length, 4000, rng, 16000) for _ in range(3)]
    except InputError as error:
        # Damage in the middle of what is compressed without a loss is only seen when it is decoded.
        assert b"fLaC" in path.read_bytes(), f"the check passes it, but {error}"
        raise
    assert whole.shape == (length,) and whole.dtype == np.int16
    assert [chunk.shape for chunk in chunks] == [(4000,)] * 3


def test_damaged_files_are_refused_or_read():
    report = fuzzing.assert_sound(case, 1200, seed=0)
    assert 300 < report.refused < 1100


if __name__ == "__main__":
    fuzzing.main(case)
