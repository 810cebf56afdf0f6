import pytest

from local.errors import InputError, Problems
from local.lists.file_lists import find_recordings


def find(*sources):
    problems = Problems()
    recordings = find_recordings([str(source) for source in sources], problems)
    return recordings, problems


def messages(problems):
    with pytest.raises(InputError) as raised:
        problems.raise_if_any()
    return str(raised.value)


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_list(tmp_path):
    path = tmp_path / "files.lst"
    path.write_text("anna/1\nbert/v1.2\n\ncarl/3.flac")
    recordings, problems = find(path)
    assert recordings.ids == recordings.names == ["anna/1", "bert/v1.2", "carl/3.flac"]
    assert recordings.places == [(str(path), 1), (str(path), 2), (str(path), 4)]
    assert not problems


def test_audio_that_is_named_is_no_list_whatever_its_extension(tmp_path):
    for name in ("a.WAV", "b.aiff", "c.m4a"):
        (tmp_path / name).write_bytes(b"\xff")
        assert find(tmp_path / name)[0].names == [str(tmp_path / name)]


def test_a_list_with_repeated_and_wrong_lines(tmp_path):
    path = tmp_path / "files.lst"
    path.write_text("a\nb c\na\nd\n")
    recordings, problems = find(path)
    assert recordings.ids == ["a", "d"]
    text = messages(problems)
    assert f"{path}:2: expected 1 fields, 'PATH', but found 2" in text
    assert f"{path}:3: 'a' is already in {path}:1: left out here" in text


def test_a_kaldi_table(tmp_path):
    path = tmp_path / "wav.scp"
    path.write_text("a1 /x/a.wav\na2 sph2pipe -f wav /x/b.sph |\na3\na4 /x/b c.wav\na1 /y.wav\n")
    recordings, problems = find(path)
    assert (recordings.ids, recordings.names) == (["a1"], ["/x/a.wav"])
    text = messages(problems)
    assert f"{path}:2: is a command to run" in text
    assert f"{path}:3: has no path" in text
    assert f"{path}:4: has more than 'ID PATH'" in text
    assert f"{path}:5: 'a1' is already" in text


def test_a_folder(tmp_path):
    touch(tmp_path, "b/2.flac", "a.wav", "b/1.WAV", "b/notes.txt", ".hidden/3.wav")
    recordings, _ = find(tmp_path)
    assert recordings.ids == ["a", "b/1", "b/2"]
    assert recordings.names == [str(tmp_path / name) for name in ("a.wav", "b/1.WAV", "b/2.flac")]


def test_audio_files_and_several_sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "x/1.wav", "2.flac")
    (tmp_path / "more.lst").write_text("3\n")
    recordings, _ = find("2.flac", "x", "more.lst")
    assert recordings.ids == ["2.flac", "1", "3"]
    assert recordings.names == [str(tmp_path / "2.flac"), str(tmp_path / "x" / "1.wav"), "3"]


def test_two_files_of_one_name(tmp_path):
    touch(tmp_path, "1.wav", "1.flac")
    recordings, problems = find(tmp_path)
    assert recordings.ids == ["1"]
    assert f"{tmp_path / '1.wav'}: '1' is already in {tmp_path / '1.flac'}" in messages(problems)


def test_nothing(tmp_path):
    with pytest.raises(InputError, match="none.lst: there is no such list, folder or audio file"):
        find(tmp_path / "none.lst")
    with pytest.raises(InputError, match="no recordings"):
        find(tmp_path)
    (tmp_path / "empty.lst").touch()
    with pytest.raises(InputError, match="empty.lst: is empty"):
        find(tmp_path / "empty.lst")


def test_a_file_name_that_is_no_text(tmp_path):
    touch(tmp_path, "a.wav")
    (tmp_path / b"\xff.wav".decode(errors="surrogateescape")).touch()
    recordings, problems = find(tmp_path)
    assert recordings.ids == ["a"]
    assert r"\udcff.wav': is not a UTF-8 name: rename it" in messages(problems)
