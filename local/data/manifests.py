"""Label files and trials to SpeechBrain's CSV manifests; checks every line and audio file."""

import csv
import filecmp
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from local.atomic import remove_leftovers, replacing, writing
from local.audio.checking import length_problem
from local.audio.packed_index import find_packed, is_packed
from local.audio.table import AUDIO, examine_audio
from local.data.manifest_files import CHANNEL, COLUMNS
from local.errors import InputError, Problems
from local.lists.fields import plain_name
from local.lists.labels import read_labels

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Manifest:
    """A manifest that was written, and what is in it."""

    path: Path
    num_utterances: int
    num_speakers: int  # 0 for trials, which don't name speakers
    seconds: float  # of all utterances together
    num_resampled: int  # utterances at another rate
    num_downmixed: int  # utterances with more than one channel


class _Utterances(NamedTuple):
    """What a list says of each utterance."""

    ids: Sequence
    names: Sequence  # of the files
    speakers: Sequence
    place: Callable  # index -> the (path, line) that mentions it


def prepare_training(
    labels_path,
    data_dir,
    manifest_path,
    sample_rate=16000,
    min_seconds=0.1,
    progress=True,
    kind=AUDIO,
):
    """Checks a label file and its audio, and writes the manifest to train on.

    The lengths of the audio files are kept beside the manifest (`.audio.npz`), so that files that
    have not changed aren't opened again. A manifest that would be the same keeps its time.

    Arguments
    ---------
    labels_path : str or Path
        `PATH LABEL -1` a line.
    data_dir : str or Path
        Where the paths of the label file are looked up; it may hold packed audio.
    manifest_path : str or Path
        Where the manifest goes; its folder is made.
    sample_rate : int
        In Hz. Recordings at another rate are counted, as they will be resampled when read.
    min_seconds : float
        Shorter utterances are an error.
    progress : bool
        Whether to show a progress bar.
    kind : local.audio.table.FileKind
        What is looked up: audio, or features (whose rate is that of the frames).

    Returns
    -------
    manifest : Manifest

    Raises
    ------
    InputError
        With all problems of the label file or, if it has none, with all problems of its audio.
        Then no manifest is written.
    """
    labels = read_labels(labels_path)
    utterances = _Utterances(
        labels.names, labels.names, labels.speakers, lambda i: (labels.path, labels.lines[i])
    )
    with _examined(utterances, data_dir, manifest_path, progress, kind) as audios:
        audios = _refuse_repeats(utterances, audios)
        return _write_manifest(utterances, audios, manifest_path, sample_rate, min_seconds)


def prepare_trials(
    trials, data_dir, manifest_path, sample_rate=16000, min_seconds=0.1, progress=True, kind=AUDIO
):
    """Checks the audio of trials, and writes a manifest with each utterance once.

    `trials` are Trials or an Enrolment, whose `utterances` are looked up; the other arguments are
    as for `prepare_training`. Returns a Manifest in the order of the utterances, with an empty
    `spk_id`. Raises an InputError with all problems of the audio, each with the place where a trial
    mentions it first.
    """
    names = trials.utterances
    utterances = _Utterances(names, names, [""] * len(names), trials.places.__getitem__)
    with _examined(utterances, data_dir, manifest_path, progress, kind) as audios:
        audios = _refuse_repeats(utterances, audios)
        return _write_manifest(utterances, audios, manifest_path, sample_rate, min_seconds)


def prepare_recordings(
    recordings, data_dir, manifest_path, problems, sample_rate=16000, progress=True
):
    """Checks recordings, and writes a manifest of those that are sound.

    Arguments
    ---------
    recordings : local.lists.file_lists.Recordings
    data_dir, manifest_path, sample_rate, progress
        As for `prepare_training`.
    problems : local.errors.Problems
        Gets what is wrong with the others.

    Returns a Manifest.
    """
    ids, names, places = recordings
    utterances = _Utterances(ids, names, [""] * len(ids), places.__getitem__)
    with _examined(utterances, data_dir, manifest_path, progress, AUDIO) as audios:
        return _write_manifest(utterances, audios, manifest_path, sample_rate, 0.0, problems)


def _examined(utterances, data_dir, manifest_path, progress, kind):
    """What is found of each utterance; closing it saves the table, also after an error."""
    if not os.path.isdir(data_dir):
        raise InputError(f"{data_dir}: there is no such data directory")
    with writing(Path(manifest_path).parent):
        Path(manifest_path).parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(Path(manifest_path).parent)
    table_path = Path(manifest_path).with_suffix(f".{kind.table}.npz")
    # The real path, so that the table serves however the directory is written.
    data_dir = os.path.realpath(data_dir)
    names = [plain_name(name, data_dir) for name in utterances.names]
    if kind is AUDIO and is_packed(data_dir):
        return closing(find_packed(names, data_dir))
    return closing(examine_audio(names, data_dir, table_path, progress, kind))


def _refuse_repeats(utterances, audios):
    """Yields audios; two names of one file ('a' and 'a.wav', 'b//a') are as wrong as one twice."""
    first = {}
    for index, audio in enumerate(audios):
        place = (audio.path, audio.start, audio.info and audio.info.num_samples, audio.channel)
        earlier = first.setdefault(place, index)
        if earlier != index and not audio.problem:
            path, line = utterances.place(earlier)
            where = f"on line {line}" if path == utterances.place(index)[0] else f"in {path}:{line}"
            name = utterances.names[earlier]
            audio = audio._replace(problem=f"{audio.path} is already {where}, as '{name}'")
        yield audio


def _write_manifest(utterances, audios, path, sample_rate, min_seconds, others=None):
    """Writes rows of all utterances or, if `others` takes the problems, of those without one."""
    path = Path(path)
    problems = Problems() if others is None else others
    sound = _sound(utterances, audios, min_seconds, problems)
    with replacing(path) as temporary:
        manifest = _write_rows(temporary, path, utterances, sound, sample_rate)
        if others is None:
            problems.raise_if_any()
        is_same = path.exists() and filecmp.cmp(path, temporary, shallow=False)
        if is_same:
            # It keeps its time, so that nothing made from it looks out of date.
            shutil.copystat(path, temporary)
    _log(manifest, is_same, sample_rate, summary=others is None)
    return manifest


def _sound(utterances, audios, min_seconds, problems):
    """Yields (index, audio) of the utterances without a problem; collects the problems."""
    for index, audio in enumerate(audios):
        problem = audio.problem or length_problem(audio.path, audio.info, min_seconds)
        if problem:
            problems.add(*utterances.place(index), problem)
        else:
            yield index, audio


def _write_rows(temporary, path, utterances, sound, sample_rate):
    num_utterances = num_resampled = num_downmixed = 0
    total_seconds = 0.0
    mark = f"{CHANNEL}="
    has_channels = any(mark in name for name in utterances.names)
    columns = (*COLUMNS, CHANNEL) if has_channels else COLUMNS
    with open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for index, audio in sound:
            info = audio.info
            seconds = info.num_samples / info.sample_rate
            name, speaker = utterances.ids[index], utterances.speakers[index]
            stop = audio.start + info.num_samples
            row = (name, round(seconds, 6), audio.path, audio.start, stop, speaker, audio.channel)
            writer.writerow(row[: len(columns)])
            num_utterances += 1
            total_seconds += seconds
            num_resampled += info.sample_rate != sample_rate
            num_downmixed += info.num_channels > 1
    num_speakers = len(set(utterances.speakers) - {""})
    return Manifest(path, num_utterances, num_speakers, total_seconds, num_resampled, num_downmixed)


def _log(manifest, is_same, sample_rate, summary):
    if summary:
        logger.info(
            "%s (%s): %d utterances%s, %.2f hours",
            manifest.path,
            "unchanged" if is_same else "written",
            manifest.num_utterances,
            f" of {manifest.num_speakers} speakers" if manifest.num_speakers else "",
            manifest.seconds / 3600,
        )
    if manifest.num_resampled:
        logger.info("%d are not at %d Hz: resampled", manifest.num_resampled, sample_rate)
    if manifest.num_downmixed:
        logger.info("%d have several channels: averaged", manifest.num_downmixed)
