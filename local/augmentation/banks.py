"""Folders of recordings, and the training audio, to what is kept of them in memory."""

import logging
import os
import re
from fractions import Fraction

import numpy as np

from local.audio.checking import check_audio
from local.audio.finding import EXTENSIONS
from local.audio.opening import open_recording
from local.audio.reading import read_audio
from local.audio.recordings import audio_files
from local.augmentation.made import kept
from local.data.manifest_files import place_of, read_manifest
from local.errors import InputError
from local.machine import processes

logger = logging.getLogger(__name__)

# A piece of a recording, unless there are so few of them that it must be longer.
PIECE_SECONDS = 5.0
# In a recording of an impulse response, where its direct path is looked for.
RESPONSE_SECONDS = 10.0
# MUSAN's folders, and what is in them.
MUSAN = {"noise": "noise", "music": "music", "speech": "babble"}
# RIRS_NOISES (OpenSLR 28) has both, and in real_rirs_isotropic_noises even side by side.
NOISE = "noise", re.compile(r"(.*_)?noise[-_].*")
RESPONSES = "impulse responses", re.compile(r".*_rir_.*|air_type1_air_.*|Room\d+-\d+\..*")
# Of the rates of a response: 44,101 and 16,000 Hz have no small ratio.
_MAX_FACTOR = 4000


def find_kinds(noise_dir):
    """The kinds of noise in a folder: those of MUSAN's folders that are there, or one.

    MUSAN may be the folder or, as its archive unpacks, the folder musan in it.

    Returns a dictionary, noise, music or babble -> folder. Raises an InputError if there is no such
    folder.
    """
    _check_folder("noise_dir", noise_dir)
    for place in (noise_dir, os.path.join(noise_dir, "musan")):
        folders = {kind: os.path.join(place, name) for name, kind in MUSAN.items()}
        found = {kind: folder for kind, folder in folders.items() if os.path.isdir(folder)}
        if found:
            return found
    return {"noise": noise_dir}


def folder_bank(folder, minutes, sample_rate, rng):
    """Pieces of the recordings in a folder, one behind the other, all at one level.

    Arguments
    ---------
    folder : str or Path
    minutes : float
        Of audio, at most; each recording has about as much of it as the others.
    sample_rate : int
        In Hz.
    rng : np.random.Generator

    Returns
    -------
    bank : np.ndarray
        int16 (samples,)

    Raises
    ------
    InputError
        If the folder has no audio, or none that can be read. What can't be read is left out with a
        warning.
    """
    paths = _audio_of(folder, NOISE, RESPONSES)
    seconds = max(PIECE_SECONDS, 60 * minutes / len(paths))

    def read(path):
        info = check_audio(path)
        place = (path, 0, info.num_samples, 0, info.sample_rate)
        return kept(_piece(*place, seconds, sample_rate, rng))

    limit = minutes * 60 * sample_rate
    return np.concatenate(_readable(folder, rng.permutation(paths), read, limit))


def speech_bank(manifest_path, minutes, sample_rate, rng):
    """Pieces of the utterances of a manifest, drawn as `folder_bank` does, and as it returns."""
    rows = list(read_manifest(manifest_path))
    seconds = max(PIECE_SECONDS, 60 * minutes / len(rows))

    def read(number):
        place = place_of(rows[number])
        own_rate = (place[2] - place[1]) / float(rows[number]["duration"])
        return kept(_piece(*place, own_rate, seconds, sample_rate, rng))

    limit = minutes * 60 * sample_rate
    return np.concatenate(_readable(manifest_path, rng.permutation(len(rows)), read, limit))


def folder_responses(folder, num_rooms, max_seconds, sample_rate, rng):
    """The impulse responses in a folder, from their direct path on, which is their highest peak.

    Of several channels it is the first: their mean would be a comb filter, not a room.

    Arguments
    ---------
    folder : str or Path
    num_rooms : int
        Of so many recordings at most, drawn from all.
    max_seconds : float
        After which a response is cut off.
    sample_rate, rng
        As for `folder_bank`.

    Returns
    -------
    responses : np.ndarray
        float32 (rooms, taps), where the direct path is 1.

    Raises an InputError as `folder_bank` does.
    """
    _check_folder("rir_dir", folder)

    def read(path):
        samples = _first_channel(path, sample_rate)
        peak = np.abs(samples).argmax()
        return samples[peak:] / samples[peak] if samples[peak] else None

    paths = _audio_of(folder, RESPONSES, NOISE)
    responses = np.zeros((num_rooms, max(2, round(max_seconds * sample_rate))), np.float32)
    found = _readable(folder, rng.permutation(paths)[:num_rooms], read)
    for row, samples in zip(responses, found, strict=False):
        row[: len(samples)] = samples[: len(row)]
    return responses[: len(found)]


def _check_folder(setting, folder):
    if not os.path.isdir(folder):
        raise InputError(f"{setting}: {folder} is not a folder")


def _audio_of(folder, wanted, unwanted):
    """The paths of audio in a folder, but for files with names of what is unwanted."""
    paths = [os.path.join(folder, path) for path in audio_files(folder)]
    if not paths:
        raise InputError(f"{folder}: has no audio ({' '.join(EXTENSIONS)})")
    (what, _), (other, names) = wanted, unwanted
    found = [path for path in paths if not names.fullmatch(os.path.basename(path))]
    if len(found) < len(paths):
        example = next(path for path in paths if names.fullmatch(os.path.basename(path)))
        told = f"{folder}: {len(paths) - len(found)} files are {other} by their names ({example})"
        if not found:
            raise InputError(f"{told}, and there are no {what}")
        if processes.rank() == 0:
            logger.info(f"{told}, and are left out")
    return found


def _first_channel(path, sample_rate):
    """The beginning of a recording: float32 (samples,)."""
    from scipy.signal import resample_poly  # here, because the import takes a second

    num_samples = round(RESPONSE_SECONDS * check_audio(path).sample_rate)
    with open_recording(path) as file:
        samples = file.read(num_samples, dtype="float32", always_2d=True)[:, 0]
        ratio = Fraction(sample_rate, file.samplerate).limit_denominator(_MAX_FACTOR)
    return resample_poly(samples, *ratio.as_integer_ratio())


def _piece(path, start, stop, channel, own_rate, seconds, sample_rate, rng):
    length = min(stop - start, round(seconds * own_rate))
    first = start + int(rng.integers(stop - start - length + 1))
    return read_audio(path, first, first + length, sample_rate, channel)


def _readable(source, items, read, limit=np.inf):
    """What is read of some items, up to a number of samples; warns of those that can't be read."""
    found, problems, num_samples = [], [], 0
    for item in items:
        if num_samples >= limit:
            break
        try:
            samples = read(item)
        except InputError as error:
            problems.append(str(error))
            continue
        if samples is None:
            problems.append(f"{item} is silent")
        else:
            found.append(samples)
            num_samples += len(samples)
    if not found:
        raise InputError(f"{source}: has nothing that can be used: {problems[0]}")
    if problems and processes.rank() == 0:
        logger.warning(f"{source}: {len(problems)} recordings are left out: {problems[0]}")
    return found
