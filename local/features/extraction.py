"""Recordings to feature files, by one process a core."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from local.atomic import remove_leftovers, writing
from local.audio.checking import check_audio, length_problem
from local.audio.parts import find_part
from local.audio.reading import read_audio
from local.audio.recordings import utterance_name
from local.audio.table import missing_problem
from local.errors import InputError
from local.features.files import PICKLE, check_features, read_features, write_features
from local.features.log_mel import LogMel
from local.machine.signals import end_with_parent, ignore_stopping

_FILES_AT_ONCE = 16


class Job(NamedTuple):
    """A recording, looked up as `name` in `data_dir`, and the path that its features go to."""

    data_dir: str
    name: str
    path: Path
    problem: str | None = None

    @classmethod
    def make(cls, data_dir, identity, name, feature_dir, extension):
        """The features go to `feature_dir`, by the ID; or, if it is None, beside the audio.

        An ID that leads out of `feature_dir` is a problem.

        Example
        -------
        >>> Job.make("audio", "anna/1", "anna/1", "features", ".npy").path
        PosixPath('features/anna/1.npy')
        >>> Job.make("audio", "a1", "anna/1.flac", None, ".npy").path
        PosixPath('audio/anna/1.npy')
        """
        root, stem = feature_dir, identity
        if feature_dir is None:
            root, stem = data_dir, name if name == identity else utterance_name(name)
        path = Path(os.path.join(root, stem) + extension)
        problem = None
        if feature_dir is not None and not is_inside(path, feature_dir):
            problem = (
                f"'{identity}': its features would be outside of {feature_dir}: give a folder, or "
                "a list of paths below --data_dir"
            )
        return cls(data_dir, name, path, problem)


def is_inside(path, folder):
    """Whether a path is below a folder; links are not followed.

    Example
    -------
    >>> is_inside("features/../a.npy", "features"), is_inside("features/b/../a.npy", "features")
    (False, True)
    """
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))


class FeatureExtractor(NamedTuple):
    """Computes and writes features before normalisation.

    Recordings shorter than `min_seconds` are refused; `dtype` is that of `.npy` files (see
    `local.features.files.write_features`).
    """

    log_mel: LogMel
    sample_rate: int
    min_seconds: float
    dtype: str

    def extract(self, job):
        """Writes the features of a Job and returns "written", or "kept" if they are there already.

        Raises an InputError if the recording can't be found or read, or is too short, or the Job
        has a problem.
        """
        if job.problem:
            raise InputError(job.problem)
        found = find_part(job.data_dir, job.name)
        if found is None:
            raise InputError(missing_problem(job.name, job.data_dir))
        audio, status, part = found
        if self._is_finished(job.path, status.st_mtime_ns):
            return "kept"
        info = check_audio(audio)
        start, info = part.cut(audio, info)
        too_short = length_problem(audio, info, self.min_seconds)
        if too_short:
            raise InputError(too_short)
        stop = start + info.num_samples
        samples = read_audio(audio, start, stop, self.sample_rate, part.channel)
        with torch.inference_mode():
            log_mel = self.log_mel.log_mel(torch.from_numpy(samples)[None])[0][0]
        with writing(job.path):
            job.path.parent.mkdir(parents=True, exist_ok=True)
        write_features(job.path, log_mel.numpy(), self.dtype)
        return "written"

    def _is_finished(self, path, audio_mtime_ns):
        """Whether features of this kind are there, whole and newer than the audio."""
        try:
            if path.stat().st_mtime_ns < audio_mtime_ns:
                return False
            check_features(path, self.log_mel.num_mels, frame_rate=1)
            return path.suffix == PICKLE or read_features(path, 0, 1).dtype == np.dtype(self.dtype)
        except (OSError, InputError):
            return False


def clear_up(jobs):
    """Deletes what a run that was killed has left in the folders of Jobs without a problem."""
    for folder in {job.path.parent for job in jobs if not job.problem}:
        if folder.is_dir():
            remove_leftovers(folder)


def extract_features(extractor, jobs, num_workers=None, progress=True):
    """Extracts the features of a list of Jobs, in `num_workers` processes (None: one a core).

    Yields (what `FeatureExtractor.extract` returns or None, what is wrong or None) for each job,
    in their order.
    """
    num_workers = min(num_workers or len(os.sched_getaffinity(0)), len(jobs))
    with ProcessPoolExecutor(
        num_workers, multiprocessing.get_context("fork"), _prepare_worker
    ) as pool:
        outcomes = pool.map(partial(_extract, extractor), jobs, chunksize=_FILES_AT_ONCE)
        yield from tqdm(outcomes, "features", len(jobs), unit=" files", disable=not progress)


def _prepare_worker():
    ignore_stopping()
    end_with_parent()
    torch.set_num_threads(1)


def _extract(extractor, job):
    try:
        return extractor.extract(job), None
    except InputError as error:
        return None, str(error)
