import os
import unicodedata

import pytest

from local.audio.finding import find_file


def find(data_dir, name):
    """The path that is found; None if there is none."""
    found = find_file(data_dir, name)
    return found and found[0]


def touch(folder, *names):
    """Makes empty files; returns their paths."""
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return [str(path) for path in paths]


@pytest.mark.parametrize("name", ["spk.1/utt.2", "a/žluť", "a"])
@pytest.mark.parametrize("extension", [".wav", ".flac", ".opus", ".sph"])
def test_an_extension_is_added_to_the_whole_name(tmp_path, name, extension):
    (path,) = touch(tmp_path, name + extension)
    assert find(tmp_path, name) == path
    assert find("/elsewhere", str(tmp_path / name)) == path


def test_wav_comes_first(tmp_path):
    _, path, _ = touch(tmp_path, "a.flac", "a.wav", "a.mp3")
    assert find(tmp_path, "a") == path


def test_a_name_with_extension_is_taken_as_it_is(tmp_path):
    flac, _, other = touch(tmp_path, "a.flac", "a.flac.wav", "b.wav.flac")
    assert find(tmp_path, "a.flac") == flac
    assert find(tmp_path, "b.wav") == other


def test_nothing(tmp_path):
    touch(tmp_path, "a.txt", "folder/b.txt")
    for name in ("a", "folder", "no/such/folder", "a\0", "é/é"):
        assert find(tmp_path, name) is None


@pytest.mark.parametrize("name", ["s1/SA1", "s1/SA1.WAV", "s1/SA1.wav", "s1/SA1.Wav"])
def test_extensions_in_capitals(tmp_path, name):
    (path,) = touch(tmp_path, "s1/SA1.WAV")
    assert find(tmp_path, name) == path


@pytest.mark.parametrize("on_disk", ["a.Flac", "a.FLAC", "a.MP3", "a.oPus"])
def test_extensions_in_any_case(tmp_path, on_disk):
    (path,) = touch(tmp_path, on_disk)
    assert find(tmp_path, "a") == path


def test_the_case_of_names_counts(tmp_path):
    touch(tmp_path, "A.WAV")
    assert find(tmp_path, "a") is None


def test_small_letters_come_first_unless_the_name_has_capitals(tmp_path):
    small, capital = touch(tmp_path, "a.wav", "a.WAV")
    assert find(tmp_path, "a") == small
    assert find(tmp_path, "a.wav") == small
    assert find(tmp_path, "a.WAV") == capital


def test_a_file_is_found_that_came_later(tmp_path):
    assert find(tmp_path, "a") is None
    (path,) = touch(tmp_path, "a.WAV")
    os.utime(tmp_path, ns=(1, 1))
    assert find(tmp_path, "a") == path


@pytest.mark.parametrize("name", ["a.aiff", "a", "x.y/a.caf"])
def test_a_path_with_another_extension_is_taken_as_it_is(tmp_path, name):
    (path,) = touch(tmp_path, name)
    assert find(tmp_path, name) == path


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("in_list", ["NFC", "NFD"])
@pytest.mark.parametrize("extension", [".wav", ".WAV"])
def test_composed_and_decomposed_letters(tmp_path, on_disk, in_list, extension):
    names = ["žluť/ř.1/é", "plain/é", "žluť/a"]
    for name in names:
        (path,) = touch(tmp_path, unicodedata.normalize(on_disk, name) + extension)
        assert find(tmp_path, unicodedata.normalize(in_list, name)) == path


def test_names_whose_folders_are_spelled_differently(tmp_path):
    parts = [unicodedata.normalize(form, "é") for form in ("NFC", "NFD")]
    (path,) = touch(tmp_path, f"{parts[0]}/{parts[1]}/{parts[0]}.wav")
    assert find(tmp_path, f"{parts[1]}/{parts[0]}/{parts[1]}") == path


def links(folder, **targets):
    for name, target in targets.items():
        (folder / name).symlink_to(target)


def test_links_to_files_and_folders_are_followed(tmp_path):
    touch(tmp_path / "disk", "1.wav", "2.flac")
    links(tmp_path, **{"a.WAV": "disk/1.wav", "b.wav": "disk/2.flac", "c.wav": "gone", "d": "disk"})
    found = {name: find(tmp_path, name) for name in ("a", "b", "c", "d/1", "d/2.flac", "d")}
    places = {"a": "a.WAV", "b": "b.wav", "d/1": "d/1.wav", "d/2.flac": "d/2.flac"}
    assert found == {
        name: f"{tmp_path}/{places[name]}" if name in places else None for name in found
    }


@pytest.mark.parametrize(
    "name, on_disk, num_stats, num_lists",
    [
        ("s/1", "s/1.wav", 1, 0),
        ("s/1.flac", "s/1.flac", 1, 0),
        ("ž/1", "ž/1.wav", 1, 0),
        ("s/1", "s/1.flac", 2, 0),
        # All extensions, the name as it is, the folder, which is listed once, and the file.
        ("s/1", "s/1.WAV", 9, 1),
    ],
)
def test_the_system_is_asked_once_for_a_file(
    tmp_path, monkeypatch, name, on_disk, num_stats, num_lists
):
    touch(tmp_path, on_disk, on_disk.replace("1", "2"))
    asked = []
    for function in (os.stat, os.lstat, os.listdir, os.scandir, os.access):

        def counting(path, *arguments, function=function, **options):
            asked.append(function.__name__)
            return function(path, *arguments, **options)

        monkeypatch.setattr(os, function.__name__, counting)
    found = [find(tmp_path, one) for one in (name, name.replace("1", "2"))]
    monkeypatch.undo()
    assert None not in found
    assert asked.count("stat") == 2 * num_stats
    assert len(asked) == 2 * num_stats + num_lists


def test_features_are_found_by_their_extensions_alone(tmp_path):
    touch(tmp_path, "a.wav")
    assert find_file(tmp_path, "a.wav", (".npy",)) is None
    (path,) = touch(tmp_path, "a.wav.npy")
    assert find_file(tmp_path, "a.wav", (".npy",))[0] == path
