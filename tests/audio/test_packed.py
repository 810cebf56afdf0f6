"""Reading of packed audio; how it is made is tested in test_packing.py."""

import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.pool import ThreadPool

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from local.audio import packing as audio_packing
from local.audio.packed import VERSION_KEY, PackedAudio, Shard
from local.audio.packed_index import find_packed, is_packed, read_index
from local.audio.reading import read_audio
from local.errors import InputError, Problems
from local.lists.file_lists import find_recordings

LENGTHS = {"a/1": 50, "b/1.2": 70, "b/é": 30, "c/1": 160, "d/1": 1}


def next_samples(file, frames):
    samples = np.empty(frames, np.int16)
    return samples[: file.buffer_read_into(samples)]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """One shard of three record batches, whose samples count up from utterance to utterance."""
    folder = tmp_path_factory.mktemp("packed")
    ends = np.cumsum(list(LENGTHS.values()))
    for (name, length), end in zip(LENGTHS.items(), ends, strict=True):
        path = folder / "audio" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.arange(end - length, end, dtype=np.int16), 16000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audio_packing, "BATCH_SAMPLES", 150)
        pack(folder / "audio", folder / "packed")
    return folder


def pack(audio, out_dir, **settings):
    problems = Problems()
    recordings = find_recordings([str(audio)], problems)
    result = audio_packing.pack_audio(
        recordings, audio, out_dir, problems, progress=False, **settings
    )
    problems.raise_if_any()
    return result


def shard_of(folder):
    return str(folder / "packed" / "audio-00000.arrow")


def copied(packed, tmp_path):
    shutil.copytree(packed / "packed", tmp_path / "packed")
    return tmp_path / "packed" / "audio-00000.arrow"


def read(place):
    return read_from(place.path, place.start, place.stop)


def read_from(path, start, stop):
    with PackedAudio.open(path) as file:
        file.seek(start)
        return next_samples(file, stop - start)


# ---- samples


def test_a_shard_is_like_an_open_sound_file(packed):
    with PackedAudio.open(shard_of(packed)) as file:
        assert (file.frames, file.samplerate, file.channels) == (311, 16000, 1)
        assert (file.subtype, file.path) == ("PCM_16", shard_of(packed))


@given(start=st.integers(0, 320), frames=st.integers(0, 320))
def test_ranges_are_slices_also_across_batches(packed, start, frames):
    with PackedAudio.open(shard_of(packed)) as file:
        file.seek(start)
        assert next_samples(file, frames).tolist() == list(range(311))[start : start + frames]
        assert (
            next_samples(file, 2).tolist() == list(range(311))[start + frames : start + frames + 2]
        )


def test_what_is_read_may_be_written_to(packed):
    first = read_from(shard_of(packed), 0, 5)
    first[:] = -1
    assert read_from(shard_of(packed), 0, 5).tolist() == [0, 1, 2, 3, 4]


def test_every_utterance_is_read_as_from_its_file(packed):
    index = read_index(packed / "packed")
    for name in LENGTHS:
        expected = read_audio(packed / "audio" / f"{name}.wav")
        assert read(index[name]).tolist() == expected.tolist()


def test_forked_processes_read_from_what_is_open_and_open_themselves(packed, tmp_path):
    places = list(read_index(packed / "packed").values())
    expected = [read(place).tolist() for place in places]
    unopened = str(copied(packed, tmp_path))
    # A Pool would end its processes by SIGTERM, for which they may have inherited a handler.
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        assert [samples.tolist() for samples in pool.map(read, places * 20)] == expected * 20
        others = [place._replace(path=unopened) for place in places]
        assert [samples.tolist() for samples in pool.map(read, others)] == expected
    assert [read(place).tolist() for place in places] == expected


def test_threads_read_at_once(packed):
    places = list(read_index(packed / "packed").values())
    expected = [read(place).tolist() for place in places]
    with ThreadPool(4) as pool:
        assert [samples.tolist() for samples in pool.map(read, places * 200)] == expected * 200


def test_other_paths_are_left_to_others(packed):
    assert PackedAudio.open(packed / "audio" / "a" / "1.wav") is None


def test_a_shard_that_is_cut_while_it_is_open_ends_earlier(packed, tmp_path):
    path = copied(packed, tmp_path)
    with PackedAudio.open(path) as file:
        content = path.read_bytes()
        end = content.index(np.arange(100, 150, dtype=np.int16).tobytes())
        with open(path, "r+b") as shard:
            shard.truncate(end)
        file.seek(90)
        assert next_samples(file, 30).tolist() == list(range(90, 100))


def test_a_failing_disk_is_named(packed, monkeypatch):
    def fail(*_):
        raise OSError(5, "Input/output error")

    with PackedAudio.open(shard_of(packed)) as file:
        monkeypatch.setattr("os.preadv", fail)
        with pytest.raises(InputError, match="00.arrow can't be read: Input/output error"):
            next_samples(file, 3)


# ---- index


def test_index(packed):
    index = read_index(packed / "packed")
    assert index == {
        "a/1": (shard_of(packed), 0, 50, 16000),
        "b/1.2": (shard_of(packed), 50, 120, 16000),
        "b/é": (shard_of(packed), 120, 150, 16000),
        "c/1": (shard_of(packed), 150, 310, 16000),
        "d/1": (shard_of(packed), 310, 311, 16000),
    }


def test_where_packed_audio_is(packed, tmp_path):
    assert is_packed(packed / "packed")
    assert not is_packed(packed / "audio") and not is_packed(tmp_path / "nowhere")


def test_other_programs_read_the_same(packed):
    table = pa.ipc.open_file(shard_of(packed)).read_all()
    assert table["name"].to_pylist() == list(LENGTHS)
    assert list(map(len, table["samples"].to_pylist())) == list(LENGTHS.values())
    assert table["samples"].combine_chunks().values.to_pylist() == list(range(311))


def check_refusal(path, message):
    for attempt in (lambda: read_index(path.parent), lambda: PackedAudio.open(path)):
        with pytest.raises(InputError, match=message):
            attempt()


def test_no_packed_audio(tmp_path):
    with pytest.raises(InputError, match=r"there is no packed audio \(audio-\*.arrow\)"):
        read_index(tmp_path)
    with pytest.raises(InputError, match="gone.arrow can't be read: No such file"):
        PackedAudio.open(tmp_path / "gone.arrow")


@pytest.mark.parametrize("content", [b"", b"ARROW1", b"anything else" * 1000, b"\0" * 5000])
def test_no_arrow_file(tmp_path, content):
    path = tmp_path / "audio-00000.arrow"
    path.write_bytes(content)
    check_refusal(path, "audio-00000.arrow is damaged")


def test_a_folder_in_place_of_a_shard(tmp_path):
    path = tmp_path / "audio-00000.arrow"
    path.mkdir()
    check_refusal(path, "audio-00000.arrow can't be read")


def rewritten(packed, tmp_path, change, options=None):
    """A shard written again, with another schema."""
    path = copied(packed, tmp_path)
    table = change(pa.ipc.open_file(path.read_bytes()).read_all())
    with pa.ipc.new_file(str(path), table.schema, options=options) as file:
        file.write_table(table)
    return path


def test_another_arrow_file(packed, tmp_path):
    path = rewritten(packed, tmp_path, lambda table: table.replace_schema_metadata())
    check_refusal(path, "is an Arrow file, but not of packed audio")
    shutil.rmtree(path.parent)
    path = rewritten(packed, tmp_path, lambda table: table.rename_columns(["name", "audio"]))
    check_refusal(path, "is an Arrow file, but not of packed audio")


def test_another_version(packed, tmp_path):
    def change(table):
        return table.replace_schema_metadata(table.schema.metadata | {VERSION_KEY: b"7"})

    path = rewritten(packed, tmp_path, change)
    check_refusal(path, r"another version of the recipe \(7, here it is 1\): pack again")


def test_a_compressed_shard(packed, tmp_path):
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    check_refusal(rewritten(packed, tmp_path, lambda table: table, options), "is compressed")


def test_a_name_in_two_shards_and_twice_in_one(packed, tmp_path):
    path = copied(packed, tmp_path)
    shutil.copy(path, path.with_name("audio-00001.arrow"))
    with pytest.raises(InputError, match="audio-00001.arrow: 'a/1' is packed twice"):
        read_index(path.parent)
    shutil.rmtree(path.parent)
    path = rewritten(packed, tmp_path, lambda table: pa.concat_tables([table, table[3:]]))
    with pytest.raises(InputError, match="audio-00000.arrow: '[cd]/1' is packed twice"):
        read_index(path.parent)


def test_shards_at_several_rates(packed, tmp_path):
    copied(packed, tmp_path)
    pack(packed / "audio", tmp_path / "other", sample_rate=8000)
    (tmp_path / "other" / "audio-00000.arrow").rename(tmp_path / "packed" / "audio-00001.arrow")
    with pytest.raises(InputError, match="00001.arrow is at 8000 Hz, .*00000.arrow at 16000 Hz"):
        read_index(tmp_path / "packed")


@given(data=st.data())
def test_damage_is_found_or_harmless(packed, tmp_path_factory, data):
    """Nothing but samples of the file is ever read, wherever its bytes are changed."""
    path = tmp_path_factory.mktemp("damaged") / "audio-00000.arrow"
    content = bytearray(open(shard_of(packed), "rb").read())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:place]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        index, num_samples = read_index(path.parent), Shard(path).num_samples
    except InputError:
        return
    assert all(0 <= start <= stop <= num_samples for _, start, stop, _ in index.values())
    assert all(len(read(place)) == place.stop - place.start for place in index.values())


def test_names_are_found_in_capitals_and_in_other_spellings(tmp_path):
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / "e\u0301.WAV", np.ones(5), 16000)
    pack(tmp_path / "audio", tmp_path / "packed")
    names = ["\u00e9", "e\u0301", "\u00e9.WAV", "e\u0301.wav", "e"]
    found = list(find_packed(names, tmp_path / "packed"))
    assert [audio.problem is None for audio in found] == [True, True, True, True, False]
