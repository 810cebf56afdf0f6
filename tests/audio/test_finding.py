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


def test_features_are_found_by_their_extensions_alone(tmp_path):
    touch(tmp_path, "a.wav")
    assert find_file(tmp_path, "a.wav", (".npy",)) is None
    (path,) = touch(tmp_path, "a.wav.npy")
    assert find_file(tmp_path, "a.wav", (".npy",))[0] == path
