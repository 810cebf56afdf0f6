"""Recordings that libsndfile doesn't read to FLAC or WAV, by ffmpeg, on all cores."""

import os
import shutil
import subprocess
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path

from tqdm import tqdm

from local.atomic import folder_beside, replacing, writing
from local.errors import InputError

KINDS = ("flac", "wav")
# If none of so many could be converted, the fault is hardly the recordings'.
_MAX_FAILED = 100
# On a disk with less room, a failure is taken for its fault.
_LITTLE_BYTES = 2**20


class FailedError(Exception):
    """Why a recording can't be converted: what a program says of it."""


def convert(folder, paths, out_dir, kind, num_workers=None):
    """Converts recordings; those that are there already stay as they are.

    Arguments
    ---------
    folder : str or Path
    paths : list of str
        Of the recordings, relative to the folder.
    out_dir : str or Path
        They get the same paths below it, with another extension.
    kind : str
        "flac" or "wav", of 16 bit; rate and channels stay as they are.
    num_workers : int, optional
        How many are converted at once; None: one a core.

    Returns
    -------
    failed : list of (str, str)
        The paths of those that can't be decoded, and what ffmpeg says.

    Raises
    ------
    InputError
        If ffmpeg is missing, out_dir can't be written, the disk is full, or nothing works.
    """
    out_dir = Path(out_dir).absolute()
    targets = {path: Path(converted(out_dir, path, kind)) for path in paths}
    if all(map(os.path.exists, targets.values())):
        return []
    make = partial(_run_ffmpeg, find_ffmpeg(), os.path.abspath(folder), kind)
    return make_files(make, targets, out_dir, f"{kind} files", num_workers)


def make_files(make, targets, out_dir, what, num_workers=None):
    """Makes the files that are not there, several at once.

    Each file is complete under its name, or not there; what was interrupted goes on.

    Arguments
    ---------
    make : callable
        (source, path) writes the file of a source to a temporary path, or raises a FailedError.
    targets : dict
        Source, a str -> pathlib.Path of its file, below out_dir.
    out_dir : Path
    what : str
        For the progress bar.
    num_workers : int, optional
        None: one a core.

    Returns
    -------
    failed : list of (str, str)
        Sources, and why there is no file of them.

    Raises
    ------
    InputError
        If out_dir can't be written, the disk is full, or nothing works.
    """
    to_do = [source for source, target in targets.items() if not target.exists()]
    if not to_do:
        return []
    with writing(out_dir):
        out_dir.mkdir(parents=True, exist_ok=True)
    failed, num_workers = [], num_workers or len(os.sched_getaffinity(0))
    bar = tqdm(desc=what, total=len(targets), initial=len(targets) - len(to_do), disable=None)
    # The folder keeps other runs away; what a killed one was writing is deleted with it.
    with folder_beside(out_dir / "converting") as work, bar, ThreadPool(num_workers) as pool:
        one = partial(_make_or_fail, make, targets, out_dir, work)
        for number, (source, reason) in enumerate(pool.imap_unordered(one, to_do), 1):
            bar.update()
            if reason:
                failed.append((source, reason))
            if len(failed) == number == _MAX_FAILED:
                raise InputError(
                    f"{out_dir}: none of {number} recordings can be converted, the last: {reason}"
                )
    return sorted(failed)


def converted(out_dir, path, kind):
    """Where the converted file of a recording is.

    Example
    -------
    >>> converted("flac", "dev/aac/id00012/a/00001.m4a", "flac")
    'flac/dev/aac/id00012/a/00001.flac'
    """
    return os.path.join(out_dir, f"{os.path.splitext(path)[0]}.{kind}")


def find_ffmpeg():
    """The path of ffmpeg; raises an InputError that says how to get it."""
    ffmpeg = shutil.which("ffmpeg")
    if not ffmpeg:
        raise InputError(
            "ffmpeg is not on the PATH: install it (Debian, Ubuntu: sudo apt-get install ffmpeg; "
            "conda install -c conda-forge ffmpeg) and start the same command again"
        )
    return ffmpeg


def run(command, output=subprocess.DEVNULL):
    """Runs a program, a list of words, without input; raises a FailedError with what it says.

    `output`, an open file, gets its output.
    """
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").split("\n")
        said = " ".join(" ".join(lines[-4:]).split())
        raise FailedError(said or f"{command[0]} ended with status {done.returncode}")


def _make_or_fail(make, targets, out_dir, work, source):
    """A source, and why there is no file of it, or None."""
    target = targets[source]
    try:
        with writing(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target, folder=work) as temporary:
            make(source, temporary)
    except FailedError as error:
        if "No space left" in str(error) or shutil.disk_usage(out_dir).free < _LITTLE_BYTES:
            raise InputError(
                f"{out_dir}: the disk is full; with more room, the same command goes on"
            ) from error
        return source, str(error)
    return source, None


def _run_ffmpeg(ffmpeg, folder, kind, path, target):
    # AAC is decoded to floating point, of which ffmpeg would write 24 bit.
    options = ["-map", "0:a:0", "-sample_fmt", "s16", "-threads", "1", "-f", kind]
    source = os.path.join(folder, path)
    run([ffmpeg, "-nostdin", "-v", "error", "-y", "-i", source, *options, target])
