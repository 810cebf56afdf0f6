"""Speakers that are in the training data and in the trials: an EER on them promises too much."""

import csv


def shared_speakers(training_manifest, trials_manifest):
    """The training speakers that seem to be in the trials too.

    Trials name no speakers. A training speaker counts as shared if one of its audio files is in
    the trials, or if its folder's name is. The latter is looked for where the training data has a
    folder for each speaker: the first level of folders in its paths that matches the labels one to
    one; in the trials the folders of the same level are compared.

    Arguments
    ---------
    training_manifest, trials_manifest : str or Path
        As written by `local.manifests`.

    Returns
    -------
    speakers : list of str
        In the order of their labels: the name of the folder, or "label N" where speakers have none.
        Empty if nothing seems shared. Speakers of two corpora may only have the same name, so
        this is for a warning.

    Example
    -------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> header = "ID,duration,wav,start,stop,spk_id\\n"
    >>> rows = "anna/1,1.0,/a/anna/1.wav,0,16000,0\\nbert/1,1.0,/a/bert/1.wav,0,16000,1\\n"
    >>> _ = (folder / "train.csv").write_text(header + rows)
    >>> _ = (folder / "trials.csv").write_text(header + "bert/2,1.0,/a/bert/2.wav,0,16000,\\n")
    >>> shared_speakers(folder / "train.csv", folder / "trials.csv")
    ['bert']
    """
    trial_rows = list(_rows(trials_manifest))
    trial_paths = {path for _, path, _ in trial_rows}
    speakers, shared, levels = set(), set(), []
    for name, path, speaker in _rows(training_manifest):
        speakers.add(speaker)
        if path in trial_paths:
            shared.add(speaker)
        _add_folders(levels, name, speaker)
    level, speaker_of_folder = _speaker_level(levels, speakers)
    for name, _, _ in trial_rows:
        folders = _folders(name)
        if level < len(folders) and folders[level] in speaker_of_folder:
            shared.add(speaker_of_folder[folders[level]])
    folder_of_speaker = {speaker: folder for folder, speaker in speaker_of_folder.items()}
    return [folder_of_speaker.get(s, f"label {s}") for s in sorted(shared, key=int)]


def _rows(manifest_path):
    """The ID, audio path and label of each row."""
    with open(manifest_path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield row["ID"], row["wav"], row["spk_id"]


def _folders(name):
    return name.split("/")[:-1]


def _add_folders(levels, name, speaker):
    """levels[k] has the speaker of each folder at depth k, None where a folder has several."""
    for level, folder in enumerate(_folders(name)):
        if level == len(levels):
            levels.append({})
        if levels[level].setdefault(folder, speaker) != speaker:
            levels[level][folder] = None


def _speaker_level(levels, speakers):
    for level, speaker_of_folder in enumerate(levels):
        found = speaker_of_folder.values()
        if len(found) == len(speakers) and set(found) == speakers:
            return level, speaker_of_folder
    return 0, {}
