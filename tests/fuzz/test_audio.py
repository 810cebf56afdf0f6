"""Damaged audio files of every kind, through all that reads audio.

    python tests/fuzz/test_audio.py --first 0 --cases 100000

tries more of them than the test does. A case is known by its number. Its file is refused by the
check, with a message that names it, or read whole, by chunks and at another rate: in 2 s of
computing, and with 1 GB at most.
"""

import io
import sys
from pathlib import Path

import numpy as np
import soundfile

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fuzzing import fuzz, run_long

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
# Numbers at which computing with them goes wrong.
EDGES = [0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 1 << 24, (1 << 31) - 1, 1 << 31]
EDGES += [(1 << 32) - 2, (1 << 32) - 1, (1 << 62) - 1, (1 << 63) - 1, (1 << 64) - 1]


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


def damaged(rng):
    """(extension, content) of a file with one or several faults, most of them at its beginning."""
    extension, content = FILES[rng.integers(len(FILES))]
    content = bytearray(content)
    for _ in range(rng.geometric(0.5)):
        end = min(len(content), int(rng.choice([16, 48, 64, 256, 1 << 20])))
        place = int(rng.integers(end)) if end else 0
        FAULTS[rng.integers(len(FAULTS))](content, place, rng)
    if rng.random() < 0.1:
        extension = FILES[rng.integers(len(FILES))][0]
    return extension, bytes(content)


def flip_a_bit(content, place, rng):
    content[place : place + 1] = bytes(b ^ 1 << int(rng.integers(8)) for b in content[place:][:1])


def put_a_number(content, place, rng):
    size = int(rng.choice([1, 2, 4, 8]))
    value = EDGES[rng.integers(len(EDGES))] if rng.random() < 0.6 else int(rng.integers(1 << 32))
    order = "little" if rng.random() < 0.5 else "big"
    content[place : place + size] = (value % (1 << 8 * size)).to_bytes(size, order)


def remove(content, place, rng):
    del content[place : place + int(rng.geometric(0.05))]


def insert(content, place, rng):
    content[place:place] = rng.bytes(int(rng.geometric(0.05)))


def cut(content, place, rng):
    del content[int(rng.integers(len(content) + 1)) :]


def repeat(content, place, rng):
    first = int(rng.integers(len(content) + 1))
    content[place:place] = content[first : first + int(rng.integers(200))]


def append(content, place, rng):
    is_file = rng.random() < 0.3
    content += FILES[rng.integers(len(FILES))][1] if is_file else rng.bytes(int(rng.integers(300)))


FAULTS = [flip_a_bit, put_a_number, put_a_number, remove, insert, cut, repeat, append]


def case(number, folder):
    """Tries one file; returns what came of it."""
    rng = np.random.default_rng(number)
    extension, content = damaged(rng)
    path = Path(folder, f"case{extension}")
    path.write_bytes(content)
    try:
        info = check_audio(path)
    except InputError as error:
        assert str(path) in str(error), error
        return "refused"
    try:
        return read(path, info, rng)
    except InputError as error:
        # Damage in the middle of compressed audio is only seen when it is decoded.
        assert str(path) in str(error) and b"fLaC" in content, error
        return "damaged inside"


def read(path, info, rng):
    length = info.num_samples
    whole = read_audio(path, 0, length, info.sample_rate)
    assert whole.shape == (length,) and whole.dtype == np.int16
    read_audio(path, 0, length, 16000)
    for rate in (info.sample_rate, 16000):
        for _ in range(2):
            assert read_chunk(path, 0, length, 4000, rng, rate).shape == (4000,)
    return "read"


def test_damaged_files_are_refused_or_read(tmp_path):
    outcomes = fuzz(case, range(1500), tmp_path)
    assert outcomes["refused"] > 500
    assert outcomes["read"] > 100


if __name__ == "__main__":
    run_long(case, __doc__)
