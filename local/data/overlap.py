"""Two manifests to the speakers in both, which trials and training should not have in common."""

import os

from local.data.manifest_files import CHANNEL, read_manifest


def shared_speakers(training_manifest, trials_manifest):
    """The training speakers that seem to be in the trials too.

    Trials name no speakers. A training speaker counts as shared if one of its audio files is in
    the trials (of a call, the same side of it), or if its folder is. Its folder is known where the
    training data has a folder for each speaker: at the first level at which folders and labels
    match one to one. In the trials, folders at the same level are compared.

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
    return _shared_with_each(training_manifest, [trials_manifest])[0]


def _shared_with_each(training_manifest, trials_manifests):
    """`shared_speakers` with each of several: what was trained on may be long, and is read once."""
    lists = []  # (audio, folders, shared speakers) of each of the manifests of trials
    for manifest in trials_manifests:
        places = [(_audio(row), row["ID"].rpartition("/")[0]) for row in read_manifest(manifest)]
        lists.append((*map(set, zip(*places, strict=True)), set()) if places else ((), (), set()))
    speakers, folders, levels = set(), set(), []
    for row in read_manifest(training_manifest):
        speaker, own_audio = row["spk_id"], _audio(row)
        speakers.add(speaker)
        for audio, _, shared in lists:
            if own_audio in audio:
                shared.add(speaker)
        folders.add((row["ID"].rpartition("/")[0], speaker))
    for folder, speaker in folders:  # far fewer than utterances
        _add_folders(levels, folder, speaker)
    level, speaker_of_folder = _speaker_level(levels, speakers)
    for _, trial_folders, shared in lists:
        for parts in map(_split, trial_folders):
            if level < len(parts) and parts[level] in speaker_of_folder:
                shared.add(speaker_of_folder[parts[level]])
    names = {speaker: folder for folder, speaker in speaker_of_folder.items()}
    return [
        [names.get(s, f"label {s}") for s in sorted(shared, key=lambda s: (len(s), s))]
        for *_, shared in lists
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
    return _warning(shared_speakers(training_manifest, trials_manifest))


def overlap_warnings(training_manifest, trials_manifests):
    """The `overlap_warning` of each of several manifests of trials."""
    return [_warning(shared) for shared in _shared_with_each(training_manifest, trials_manifests)]


def _warning(shared):
    if not shared:
        return ""
    who = "speaker seems" if len(shared) == 1 else "speakers seem"
    names = ", ".join(shared[:5]) + (" ..." if len(shared) > 5 else "")
    return (
        f"{len(shared)} training {who} to be in the trials too ({names}): the EER will look better "
        "than it is"
    )


def _audio(row):
    return row["wav"], row.get(CHANNEL)


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
