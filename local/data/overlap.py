"""Speakers that are in the training data and in the trials: an EER on them promises too much."""

from local.data.manifest_files import read_manifest


def shared_speakers(training_manifest, trials_manifest):
    """The training speakers that seem to be in the trials too.

    Trials name no speakers. A training speaker counts as shared if one of its audio files is in
    the trials, or if its folder's name is. The latter is looked for where the training data has a
    folder for each speaker: the first level of folders in its paths that matches the labels one to
    one; in the trials the folders of the same level are compared.

    Arguments
    ---------
    training_manifest, trials_manifest : str or Path
        As written by `local.data.manifests`.

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
    trial_rows = list(read_manifest(trials_manifest))
    trial_paths = {row["wav"] for row in trial_rows}
    speakers, shared, levels = set(), set(), []
    for row in read_manifest(training_manifest):
        speaker = row["spk_id"]
        speakers.add(speaker)
        if row["wav"] in trial_paths:
            shared.add(speaker)
        _add_folders(levels, row["ID"], speaker)
    level, speaker_of_folder = _speaker_level(levels, speakers)
    for row in trial_rows:
        folders = _folders(row["ID"])
        if level < len(folders) and folders[level] in speaker_of_folder:
            shared.add(speaker_of_folder[folders[level]])
    folder_of_speaker = {speaker: folder for folder, speaker in speaker_of_folder.items()}
    return [folder_of_speaker.get(s, f"label {s}") for s in sorted(shared, key=int)]


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
