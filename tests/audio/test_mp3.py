import io
import struct

import numpy as np
import pytest
import soundfile

from local.audio.checking import check_audio
from local.audio.mp3 import read_stream
from local.audio.reading import read_audio, read_chunk
from local.errors import InputError

RATES = [8000, 16000, 44100]
ID3_V1 = b"TAG" + bytes(125)


def encoded(rate=16000, mode="VARIABLE", seconds=2.0, channels=1):
    """An MP3 file, loud and quiet by turns: its frames differ in size, as those of speech do."""
    rng = np.random.default_rng(0)
    loudness = np.repeat(rng.choice([0.0, 0.3], 20), int(rate * seconds / 20))
    samples = rng.normal(0, 1, (len(loudness), channels)) * loudness[:, None]
    file = io.BytesIO()
    form = {"format": "MP3", "bitrate_mode": mode, "compression_level": 0.5}
    soundfile.write(file, samples, rate, **form)
    return file.getvalue()


def without_its_length(content):
    """Without the first frame, in which the encoder notes the number of frames."""
    return content[content.index(content[:2], 4) :]


def with_noted_frames(content, change):
    """With another number of frames noted in the first one."""
    place = max(content.find(b"Xing"), content.find(b"Info")) + 8
    (noted,) = struct.unpack_from(">I", content, place)
    return content[:place] + struct.pack(">I", change(noted)) + content[place + 4 :]


def id3(num_bytes, size=None):
    """An ID3v2 tag, with a right or a wrong size."""
    size = num_bytes if size is None else size
    return b"ID3\3\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + b"U" * num_bytes


def write(folder, content):
    path = folder / "a.mp3"
    path.write_bytes(content)
    return path


def decoded(content):
    """All samples, by the decoder of the library that is told the right length."""
    return soundfile.read(io.BytesIO(content), dtype="int16")[0]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("mode", ["CONSTANT", "AVERAGE", "VARIABLE"])
def test_frames_are_counted_as_the_encoder_counts_them(tmp_path, rate, channels, mode):
    path = write(tmp_path, encoded(rate, mode, channels=channels))
    stream = read_stream(path)
    assert stream.num_frames == stream.noted_frames > 10
    assert check_audio(path).num_samples == 2 * rate


@pytest.mark.parametrize("rate", RATES)
def test_all_of_a_constant_bit_rate_is_read_without_a_noted_length(tmp_path, rate):
    content = without_its_length(encoded(rate, "CONSTANT"))
    path = write(tmp_path, content + ID3_V1)
    info = check_audio(path)
    assert info.num_samples == read_stream(path).num_frames * (1152 if rate > 24000 else 576)
    assert 2 * rate <= info.num_samples < 2.2 * rate
    assert len(read_audio(path, 0, info.num_samples, rate)) == info.num_samples


@pytest.mark.parametrize("rate", RATES)
def test_a_variable_bit_rate_without_a_noted_length_is_refused(tmp_path, rate):
    path = write(tmp_path, without_its_length(encoded(rate)))
    with pytest.raises(InputError, match=r"a.mp3 has 2.\d\d s, and its .*repair it with: ffmpeg"):
        check_audio(path)


@pytest.mark.parametrize("change", [lambda n: n // 2, lambda n: n - 1, lambda n: 0])
def test_a_noted_length_that_is_too_small_is_refused(tmp_path, change):
    with pytest.raises(InputError, match="a.mp3 has .* its header doesn't say so: repair it"):
        check_audio(write(tmp_path, with_noted_frames(encoded(), change)))


@pytest.mark.parametrize("change", [lambda n: n + 1, lambda n: 2**31 - 1, lambda n: 2**32 - 1])
def test_a_noted_length_that_is_too_large_is_refused(tmp_path, change):
    with pytest.raises(InputError, match="a.mp3 is truncated"):
        check_audio(write(tmp_path, with_noted_frames(encoded(), change)))


@pytest.mark.parametrize("second", [encoded(), id3(50) + encoded(), encoded(44100)])
def test_one_recording_after_another_is_refused(tmp_path, second):
    with pytest.raises(InputError, match="a.mp3 .*: repair it with: ffmpeg -i .* -c copy"):
        check_audio(write(tmp_path, encoded() + second))


def test_damage_in_the_middle_is_refused(tmp_path):
    content = encoded()
    middle = len(content) // 2
    junk = np.random.default_rng(0).bytes(3000)
    with pytest.raises(InputError, match="a.mp3 is damaged after .* frames, and goes on"):
        check_audio(write(tmp_path, content[:middle] + junk + content[middle:]))


@pytest.mark.parametrize(
    "before", [id3(100), id3(300_000), id3(300_000, size=1000), id3(100, size=0), b"U" * 70_000]
)
@pytest.mark.parametrize("after", [b"", ID3_V1, b"APETAGEX" + bytes(500)])
def test_tags_of_any_size_are_passed_over(tmp_path, before, after):
    content = encoded()
    path = write(tmp_path, before + content + after)
    info = check_audio(path)
    expected = decoded(content)
    assert info.num_samples == len(expected)
    assert np.array_equal(read_audio(path, 0, info.num_samples), expected)
    chunk = read_chunk(path, 0, info.num_samples, info.num_samples, np.random.default_rng(0))
    assert np.array_equal(chunk, expected)


def test_a_cut_frame_at_the_end_of_a_recorded_stream_is_left_out(tmp_path):
    content = without_its_length(encoded(mode="CONSTANT"))
    whole = check_audio(write(tmp_path, content)).num_samples
    cut = check_audio(write(tmp_path, content[:-20])).num_samples
    assert cut == whole - 576


@pytest.mark.parametrize("num_bytes", [1, 2, 3, 4, 10, 100, 500])
def test_the_beginning_of_a_file_is_no_recording(tmp_path, num_bytes):
    with pytest.raises(InputError, match="a.mp3"):
        check_audio(write(tmp_path, encoded()[:num_bytes]))
