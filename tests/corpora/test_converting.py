"""The conversion with a stand-in for ffmpeg, and with ffmpeg itself where it is installed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from local.corpora import converting, voxceleb
from local.corpora.converting import convert
from local.errors import InputError
from local.lists.labels import read_labels
from tests.helpers.trees import texts, touch

ROOT = Path(__file__).resolve().parents[2]
has_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
# It writes its arguments and the recording; one that says "damaged" it can't decode, and of one
# that says "slow" it writes a part and waits.
STAND_IN = """#!/bin/sh
while [ $# -gt 1 ]; do
  [ "$1" = -i ] && source=$2
  shift
done
echo "$source" >> "$CALLS"
if grep -q damaged "$source"; then echo "moov atom not found" >&2; exit 1; fi
if grep -q full "$source"; then echo "av_write: No space left on device" >&2; exit 1; fi
if grep -q slow "$source"; then echo half > "$1"; sleep 60; fi
cat "$source" > "$1"
"""
NAMES = [f"dev/aac/id0001{s}/aBc/0000{u}.m4a" for s in (2, 5, 6) for u in (1, 2)]


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """A file that gets the path of each recording that the stand-in for ffmpeg was called for."""
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return tmp_path / "calls"


def make_recordings(root, contents=None):
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text((contents or {}).get(name, name))
    return root


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def as_flac(names):
    return [name.replace(".m4a", ".flac") for name in names]


def run(tmp_path, *options, kind="flac"):
    arguments = ["--vox2_dir", tmp_path / "v2", "--out_dir", tmp_path / "out"]
    arguments += ["--convert_to", kind, tmp_path / "flac", *options]
    voxceleb.main([str(argument) for argument in arguments])


def test_recordings_are_converted_once(tmp_path, calls):
    make_recordings(tmp_path / "v2")
    assert convert(tmp_path / "v2", NAMES, tmp_path / "flac", "flac") == []
    assert files(tmp_path / "flac") == as_flac(NAMES)
    assert (tmp_path / "flac" / as_flac(NAMES)[0]).read_text() == NAMES[0]
    (tmp_path / "flac" / as_flac(NAMES)[3]).unlink()
    convert(tmp_path / "v2", NAMES, tmp_path / "flac", "flac")
    called = calls.read_text().splitlines()
    assert len(called) == 7 and called[-1] == str(tmp_path / "v2" / NAMES[3])


def test_what_is_converted_needs_no_ffmpeg(tmp_path, monkeypatch):
    make_recordings(tmp_path / "v2")
    touch(tmp_path / "flac", *as_flac(NAMES))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert convert(tmp_path / "v2", NAMES, tmp_path / "flac", "flac") == []


def test_labels_are_of_the_converted_files(tmp_path, calls):
    make_recordings(tmp_path / "v2")
    run(tmp_path, "--allow_missing")
    names = read_labels(tmp_path / "out" / "train_labels.txt").names
    assert names == [name.removesuffix(".m4a") for name in NAMES]
    assert f'"train_data_dir": "{tmp_path}/flac"' in texts(tmp_path / "out")["data_dirs.json"]


def test_what_is_converted_in_its_own_folder_is_found_without_the_option(tmp_path, calls):
    make_recordings(tmp_path / "v2")
    convert(tmp_path / "v2", NAMES, tmp_path / "v2", "wav")
    options = ["--vox2_dir", tmp_path / "v2", "--out_dir", tmp_path / "out", "--allow_missing"]
    voxceleb.main([str(option) for option in options])
    assert len(read_labels(tmp_path / "out" / "train_labels.txt").names) == 6


def test_what_fails_is_named_and_counted_and_the_rest_done(tmp_path, calls):
    make_recordings(tmp_path / "v2", {NAMES[1]: "damaged", NAMES[4]: "damaged"})
    with pytest.raises(InputError) as raised:
        run(tmp_path)
    message = f"{tmp_path}/v2: 2 recordings can't be converted: {NAMES[1]} (moov atom not found), "
    assert message + NAMES[4] in str(raised.value)
    assert not (tmp_path / "out").exists()
    good = [name for number, name in enumerate(NAMES) if number not in (1, 4)]
    assert files(tmp_path / "flac") == as_flac(good)
    run(tmp_path, "--allow_missing")
    names = read_labels(tmp_path / "out" / "train_labels.txt").names
    assert names == [name.removesuffix(".m4a") for name in good]


def test_a_full_disk_ends_it(tmp_path, calls):
    make_recordings(tmp_path / "v2", {NAMES[0]: "full"})
    with pytest.raises(InputError, match="/flac: the disk is full; with more room, the same comm"):
        run(tmp_path)
    assert as_flac(NAMES)[0] not in files(tmp_path / "flac")


def test_ends_early_where_nothing_works(tmp_path, calls, monkeypatch):
    monkeypatch.setattr(converting, "_MAX_FAILED", 3)
    make_recordings(tmp_path / "v2", dict.fromkeys(NAMES, "damaged"))
    with pytest.raises(InputError, match="none of 3 recordings can be converted, the last: moov"):
        run(tmp_path)


def test_killed_in_the_middle_it_leaves_no_half_file_and_goes_on(tmp_path, calls):
    make_recordings(tmp_path / "v2", {NAMES[-1]: "slow"})
    code = f"from local.corpora.converting import convert; convert({str(tmp_path / 'v2')!r}, "
    code += f"{NAMES!r}, {str(tmp_path / 'flac')!r}, 'flac', 2)"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, start_new_session=True)
    while not list((tmp_path / "flac").rglob("*.tmp/.00002.flac.*")):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert as_flac(NAMES)[-1] not in files(tmp_path / "flac")
    (tmp_path / "v2" / NAMES[-1]).write_text("whole")
    convert(tmp_path / "v2", NAMES, tmp_path / "flac", "flac")
    assert files(tmp_path / "flac") == as_flac(NAMES)  # and nothing of the first run
    assert (tmp_path / "flac" / as_flac(NAMES)[-1]).read_text() == "whole"


def test_without_the_option(tmp_path):
    make_recordings(tmp_path / "v2")
    options = ["--vox2_dir", str(tmp_path / "v2"), "--out_dir", str(tmp_path / "out")]
    with pytest.raises(InputError, match="6 recordings are .m4a, which is not read: --convert_to"):
        voxceleb.main([*options, "--allow_missing"])


def test_without_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    make_recordings(tmp_path / "v2")
    with pytest.raises(InputError) as raised:
        run(tmp_path)
    assert str(raised.value).startswith("ffmpeg is not on the PATH: install it")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "flac").exists()


def test_another_kind(tmp_path):
    make_recordings(tmp_path / "v2")
    with pytest.raises(InputError, match="--convert_to mp3: flac or wav can be written"):
        run(tmp_path, kind="mp3")


def test_a_place_that_cannot_be_written(tmp_path, calls):
    make_recordings(tmp_path / "v2")
    (tmp_path / "flac").touch()
    with pytest.raises(InputError, match="/flac: can't be written"):
        run(tmp_path)


@has_ffmpeg
@pytest.mark.parametrize("kind", converting.KINDS)
def test_m4a_becomes_audio_of_16_bit(tmp_path, kind):
    samples = 0.3 * np.sin(2 * np.pi * 440 / 16000 * np.arange(32000))
    soundfile.write(tmp_path / "tone.wav", samples, 16000)
    source = tmp_path / "v2" / NAMES[0]
    source.parent.mkdir(parents=True)
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "tone.wav", source], check=True)
    assert convert(tmp_path / "v2", NAMES[:1], tmp_path / kind, kind) == []
    decoded, rate = soundfile.read(tmp_path / kind / NAMES[0].replace("m4a", kind))
    info = soundfile.info(tmp_path / kind / NAMES[0].replace("m4a", kind))
    assert (rate, info.channels, info.subtype) == (16000, 1, "PCM_16")
    assert abs(len(decoded) - 32000) < 3000  # AAC comes in frames of 1,024, and begins early
    assert 0.15 < np.std(decoded[4000:28000]) < 0.25


@has_ffmpeg
def test_damaged_m4a_is_named(tmp_path):
    make_recordings(tmp_path / "v2")
    failed = convert(tmp_path / "v2", NAMES[:1], tmp_path / "flac", "flac")
    assert [path for path, _ in failed] == NAMES[:1]
    assert "Invalid data" in failed[0][1]
