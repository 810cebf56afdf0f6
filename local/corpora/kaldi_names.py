"""Utterances of Kaldi data directories to the names under which lists have them."""

import os
import re

from local.audio.checking import check_audio
from local.audio.finding import find_file
from local.audio.parts import SECONDS, WHOLE, Part
from local.audio.table import missing_problem
from local.errors import InputError

# By so much a segment may go beyond the end of its recording, as in Kaldi.
_MAX_OVERSHOOT_SECONDS = 0.5


def name_utterances(data_dir, utterances, audio, problems):
    """The names of some utterances: absolute paths, with the part of the recording where need be.

    Recordings are only opened where there are segments, or channels to choose.

    Arguments
    ---------
    data_dir : local.corpora.kaldi_dirs.DataDir
    utterances : collection of str
        Their IDs.
    audio : dict
        Command of wav.scp -> the path of a file with what it writes.
    problems : local.errors.Problems
        Gets what is not there, can't be read, or goes beyond the end of its recording.

    Returns a dictionary, ID -> name, without those that have a problem.
    """
    paths, infos, names, first = {}, {}, {}, {}
    for recording in dict.fromkeys(data_dir.utterances[name].recording for name in utterances):
        source = data_dir.recordings[recording]
        try:
            path = audio[source.source] if source.is_command else _find(source.source)
            if data_dir.is_segmented or recording in data_dir.channels:
                infos[recording] = check_audio(path)
            paths[recording] = path
        except InputError as error:
            problems.add(*source.place, str(error))
    for name in utterances:
        utterance = data_dir.utterances[name]
        recording = utterance.recording
        try:
            if recording in infos:
                channel = utterance.channel or data_dir.channels.get(recording, 0)
                part = _part(utterance, channel, paths[recording], infos[recording])
                names[name] = part.name(paths[recording])
            elif recording in paths:
                names[name] = paths[recording]
        except InputError as error:
            problems.add(*utterance.place, str(error))
        if first.setdefault(names.get(name, name), name) != name:
            message = f"'{name}' is the same audio as '{first[names[name]]}': {names[name]}"
            problems.add(*utterance.place, message)
    return names


def _find(path):
    """The absolute path of a recording as it is written; raises an InputError without a file."""
    folder, name = os.path.split(path)
    # Behind a link to a folder, .. leads elsewhere than the path says.
    folder = os.path.realpath(folder) if ".." in folder else os.path.abspath(folder)
    if find_file(folder, name):
        return os.path.join(folder, name)
    problem = missing_problem(name, folder)
    if not os.path.isabs(path):
        problem += "; relative paths are looked up in the current folder, as Kaldi does"
    elif re.search(r"\.ark:\d+$", path):
        problem += "; archives are not read"
    raise InputError(problem)


def _part(utterance, channel, path, info):
    """The Part that an utterance is of a recording; raises an InputError if it has no such part.

    A recording with one channel is taken for the one that is named: commands choose it already.
    """
    is_open = re.fullmatch(r"-1(\.0*)?", utterance.end)
    times = [utterance.start] if is_open else [utterance.start, utterance.end]
    for time in times:
        if not re.fullmatch(SECONDS, time, re.ASCII):
            raise InputError(f"'{time}' is no time in seconds")
    length = info.num_samples / info.sample_rate
    is_over = not is_open and 0 < float(utterance.end) - length < _MAX_OVERSHOOT_SECONDS
    end = None if is_open or is_over else utterance.end
    start = WHOLE.start if float(utterance.start) == 0 else utterance.start
    if info.num_channels == 1 and utterance.channel in (None, 1):
        channel = 0
    part = Part(start, end, channel)
    part.cut(path, info)
    return part
