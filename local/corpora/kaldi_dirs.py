"""A Kaldi data directory to its recordings, utterances, and speakers or enrolment models."""

import re
from pathlib import Path
from typing import NamedTuple

from local.errors import InputError
from local.lists.fields import read_fields

# What stands in reco2file_and_channel for a channel, counted from 1.
_CHANNELS = {"A": 1, "B": 2, "a": 1, "b": 2, **{str(number): number for number in range(1, 65)}}


class Recording(NamedTuple):
    """A line of wav.scp."""

    place: tuple  # (path, line)
    source: str  # the path of its file, or the command that writes it
    is_command: bool


class Utterance(NamedTuple):
    """A line of segments or, without that file, of wav.scp."""

    place: tuple  # (path, line)
    recording: str
    start: str = "0"  # seconds, as they are written
    end: str = "-1"  # -1: the end of the recording
    channel: int | None = None  # counted from 1, if `segments` has channels


class DataDir(NamedTuple):
    """What the files of a data directory say; nothing is looked up."""

    folder: Path
    recordings: dict  # ID -> Recording
    channels: dict  # ID of a recording -> its channel, counted from 1
    utterances: dict  # ID -> Utterance
    is_segmented: bool  # whether they are those of `segments`


def read_dir(folder, problems):
    """Reads wav.scp, segments and reco2file_and_channel; `problems` gets what is wrong in them.

    Raises an InputError if the folder is no data directory.
    """
    folder = Path(folder)
    if not (folder / "wav.scp").is_file() or not _speaker_files(folder):
        raise InputError(
            f"{folder}: is no Kaldi data directory: it needs wav.scp, and utt2spk or spk2utt"
        )
    recordings = _read_recordings(folder / "wav.scp", problems)
    channels = _read_channels(folder / "reco2file_and_channel", recordings, problems)
    is_segmented = (folder / "segments").is_file()
    if is_segmented:
        utterances = _read_segments(folder / "segments", recordings, problems)
    else:
        utterances = {name: Utterance(own.place, name) for name, own in recordings.items()}
    return DataDir(folder, recordings, channels, utterances, is_segmented)


def read_speakers(data_dir, problems):
    """The speaker of each utterance of a DataDir, by utt2spk or, without that file, spk2utt.

    `problems` gets what doesn't agree with the utterances.
    """
    path = _speaker_files(data_dir.folder)[0]
    speakers = {}
    for line, speaker, utterances in _read_mapping(path, problems):
        for name in utterances:
            if name not in data_dir.utterances:
                problems.add(path, line, f"there is no utterance '{name}' in {_list(data_dir)}")
            elif speakers.setdefault(name, speaker) != speaker:
                message = f"'{name}' is of '{speaker}' here, and of '{speakers[name]}' above"
                problems.add(path, line, message)
    for name, utterance in data_dir.utterances.items():
        if name not in speakers:
            problems.add(*utterance.place, f"there is no speaker of '{name}' in {path}")
    return speakers


def read_models(data_dir, problems):
    """Model -> the list of its utterances, by spk2utt or, without that file, utt2spk."""
    path = _speaker_files(data_dir.folder)[-1]
    models = {}
    for line, model, utterances in _read_mapping(path, problems):
        for name in utterances:
            if name not in data_dir.utterances:
                problems.add(path, line, f"there is no utterance '{name}' in {_list(data_dir)}")
        models.setdefault(model, []).extend(utterances)
    return models


def _speaker_files(folder):
    """Those of utt2spk and spk2utt that are there, in this order."""
    return [folder / name for name in ("utt2spk", "spk2utt") if (folder / name).is_file()]


def _list(data_dir):
    """The file that has the utterances."""
    return data_dir.folder / ("segments" if data_dir.is_segmented else "wav.scp")


def _read_mapping(path, problems):
    """Yields (line, speaker, list of utterances) of utt2spk or spk2utt."""
    if path.name == "utt2spk":
        for line, (name, speaker) in read_fields(path, "UTTERANCE SPEAKER", problems):
            yield line, speaker, [name]
        return
    for line, (speaker, *names) in read_fields(path, "SPEAKER UTTERANCE ...", problems):
        if not names:
            problems.add(path, line, f"speaker '{speaker}' has no utterances")
        yield line, speaker, names


def _read_recordings(path, problems):
    recordings = {}
    for line, (name, *source) in read_fields(path, "RECORDING PATH ...", problems):
        is_command = bool(source) and source[-1].endswith("|")
        if not source:
            problems.add(path, line, "has no path: expected 'RECORDING PATH'")
        elif len(source) > 1 and not is_command:
            problems.add(path, line, "has more than 'RECORDING PATH' (a path can't hold blanks)")
        elif name in recordings:
            message = f"recording '{name}' is already on line {recordings[name].place[1]}"
            problems.add(path, line, message)
        source = " ".join(source).removesuffix("|").rstrip()
        recordings.setdefault(name, Recording((path, line), source, is_command))
    return recordings


def _read_channels(path, recordings, problems):
    channels = {}
    if not path.is_file():
        return channels
    for line, (name, _, channel) in read_fields(path, "RECORDING FILE CHANNEL", problems):
        if name not in recordings:
            problems.add(path, line, f"there is no recording '{name}' in wav.scp")
        elif channel not in _CHANNELS:
            problems.add(path, line, f"channel '{channel}' is neither A nor B, nor 1, 2 ...")
        elif channels.setdefault(name, _CHANNELS[channel]) != _CHANNELS[channel]:
            problems.add(path, line, f"recording '{name}' has another channel above")
    return channels


def _read_segments(path, recordings, problems):
    utterances = {}
    layout = "UTTERANCE RECORDING START END [CHANNEL]"
    for line, (name, recording, *times) in read_fields(path, layout, problems):
        start, end, channel = times if len(times) == 3 else (*times, None)
        is_number = channel is None or re.fullmatch("[0-9]{1,3}", channel)
        if recording not in recordings:
            problems.add(path, line, f"there is no recording '{recording}' in wav.scp")
        elif name in utterances:
            message = f"utterance '{name}' is already on line {utterances[name].place[1]}"
            problems.add(path, line, message)
        elif not is_number:
            problems.add(path, line, f"channel '{channel}' is not a whole number from 0 on")
        # Here they are counted from 0, as extract-segments does.
        number = int(channel) + 1 if channel and is_number else None
        utterances.setdefault(name, Utterance((path, line), recording, start, end, number))
    return utterances
