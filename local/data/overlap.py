"""Two manifests to the speakers in both, which trials and training should not have in common."""

import os

from local.data.manifest_files import read_manifest


def shared_speakers(training_manifest, trials_manifest):
    """The training speakers that seem to be in the trials too.

    Trials name no speakers. A training speaker counts as shared if one of its audio files is in
    the trials, or if its folder is. Its folder is known where the training data has a folder for
    each speaker: at the first level at which folders and labels match one to one. In the trials,
    folders at the same level are compared.

    Arguments
    ---------
    training_manifest, trials_manifest : str or Path
        As written by `local.data.manifests`.

    Returns
    -------
    speakers : list of str
        In the order of their labels: the name of the folder, or "label N" where speakers have none.
        Speakers of two corpora may have the same name by chance: this is for a warning.
    """
    trial_rows = list(read_manifest(trials_manifest))
    trial_paths = {row["wav"] for row in trial_rows}
    speakers, shared, folders, levels = set(), set(), set(), []
    for row in read_manifest(training_manifest):
        speaker = row["spk_id"]
        speakers.add(speaker)
        if row["wav"] in trial_paths:
            shared.add(speaker)
        folders.add((row["ID"].rpartition("/")[0], speaker))
    for folder, speaker in folders:  # far fewer than utterances
        _add_folders(levels, folder, speaker)
    level, speaker_of_folder = _speaker_level(levels, speakers)
    for row in trial_rows:
        folders = _split(row["ID"].rpartition("/")[0])
        if level < len(folders) and folders[level] in speaker_of_folder:
            shared.add(speaker_of_folder[folders[level]])
    folder_of_speaker = {speaker: folder for folder, speaker in speaker_of_folder.items()}
    return [
        folder_of_speaker.get(s, f"label {s}") for s in sorted(shared, key=lambda s: (len(s), s))
    ]


def have_same_speakers(training_manifest, other_manifest):
    """Whether two manifests to train on give the same speakers the same labels.

    Each label must have utterances in common, and no utterance two labels. It is no if the second
    manifest is missing.
    """
    if not os.path.isfile(other_manifest):
        return False
    labels = {row["ID"]: row["spk_id"] for row in read_manifest(training_manifest)}
    others = {row["ID"]: row["spk_id"] for row in read_manifest(other_manifest)}
    pairs = {(labels[name], others[name]) for name in labels.keys() & others.keys()}
    speakers = {*labels.values()}
    return speakers == {*others.values()} and pairs == {(label, label) for label in speakers}


def overlap_warning(training_manifest, trials_manifest):
    """What to say of the speakers that `shared_speakers` finds; "" if there are none."""
    shared = shared_speakers(training_manifest, trials_manifest)
    if not shared:
        return ""
    who = "speaker seems" if len(shared) == 1 else "speakers seem"
    names = ", ".join(shared[:5]) + (" ..." if len(shared) > 5 else "")
    return (
        f"{len(shared)} training {who} to be in the trials too ({names}): the EER will look better "
        "than it is"
    )


def _split(folder):
    return os.path.normpath(folder).split("/") if folder else []


def _add_folders(levels, path, speaker):
    """Updates levels[k], the speaker of each folder at depth k; None if a folder has several."""
    for level, folder in enumerate(_split(path)):
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
