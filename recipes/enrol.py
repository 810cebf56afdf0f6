#!/usr/bin/env python3
"""Enrols people by recordings of their voices, for recipes/recognise.py.

    python recipes/enrol.py hparams/enrol.yaml --people people.npz --name anna anna1.wav anna2.wav

    python recipes/enrol.py hparams/enrol.yaml --enrol_models LIST --data_dir AUDIO

    python recipes/enrol.py hparams/enrol.yaml --people people.npz --list

    python recipes/enrol.py hparams/enrol.yaml --people people.npz --remove anna

Recordings may be audio files, folders, lists with a path a line, and a Kaldi wav.scp. A name that
is there already gets more utterances, or with --replace others. Recordings that can't be used are
listed at the end, and the others enrolled.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from local import command_line

if __name__ == "__main__":
    command_line.answer_help(__doc__, ROOT / "hparams" / "enrol.yaml", has_run_options=False)

import logging

from local.embeddings.people import changing, is_name, read_people
from local.embeddings.recordings import embed_named
from local.errors import InputError, Problems
from local.lists.enrolment import read_models
from local.lists.file_lists import MAX_SHOWN, Recordings, find_recordings
from local.model_files.pretrained import load_given
from local.settings.arguments import as_tuple, split_paths


def find(name, models_path, sources, problems):
    """The Recordings, and a dictionary: the ID of each -> whose it is.

    Either they are `sources` of one name, or the file at `models_path` has all names.
    """
    if models_path and not name and not sources:
        return find_many(models_path)
    if models_path or not name or not sources:
        raise InputError(
            "give --name NAME and recordings of this person, or --enrol_models FILE for many people"
        )
    if not is_name(name):
        raise InputError(f"--name {ascii(name)}: has characters that can't be shown")
    recordings = find_recordings(sources, problems)
    return recordings, dict.fromkeys(recordings.ids, name)


def find_many(path):
    """The same for `NAME PATH PATH ...` lines."""
    problems, owners, places = Problems(), {}, []
    for name, (place, utterances) in read_models(path).items():
        if not is_name(name):
            problems.add(*place, f"{ascii(name)} has characters that can't be shown")
        for utterance in utterances:
            if utterance in owners:
                problems.add(*place, f"'{utterance}' is already of '{owners[utterance]}'")
            else:
                owners[utterance] = name
                places.append(place)
    problems.raise_if_any()
    return Recordings(list(owners), list(owners), places), owners


def enrol(hparams, sources, is_default_model):
    """Embeds recordings, adds them to the people, and returns the Problems of those that failed."""
    problems = Problems(MAX_SHOWN)
    recordings, owners = find(hparams["name"], hparams["enrol_models"], sources, problems)
    model = load_given(hparams["model_dir"], is_default_model)
    with changing(hparams["people"], model):
        pass  # what is wrong with the file shows before the work
    embedded = embed_named(model, recordings, hparams["data_dir"], hparams["device"], problems)
    names = [owners[identity] for identity in embedded.names]
    for name in sorted(set(owners.values()) - set(names)):
        problems.add(name, None, "gets no utterance, as none of these recordings can be used")
    if names:
        with changing(hparams["people"], model) as (people, write):
            known = set(people.names) & set(names)
            people = people.without(known) if hparams["replace"] else people
            people = people.extended(names, embedded.embeddings)
            write(people)
        show(hparams["people"], people, names)
        for text in embedded.caution_lines():
            print(text, file=sys.stderr)
    return problems


def show(path, people, names):
    """Prints the numbers of utterances of some of the people, and how many people there are."""
    names = set(names)
    for name, count in zip(people.names, people.num_utterances.tolist(), strict=True):
        if name in names:
            print(f"{name}: {count} utterance{'s' if count > 1 else ''}")
    print(f"{path}: {len(people.names)} enrolled")


def remove(path, names):
    """Removes people from a file."""
    with changing(path) as (people, write):
        people = people.without(names)
        write(people)
    show(path, people, [])


def main(arguments):
    """Enrols people, lists them, or removes some."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments, paths = split_paths(arguments, ["replace", "list"])
    _, hparams, _, overrides = command_line.load_hparams(
        arguments, ["remove"], has_run_options=False
    )
    if hparams["list"]:
        people = read_people(hparams["people"])
        show(hparams["people"], people, people.names)
    elif hparams["remove"]:
        remove(hparams["people"], as_tuple(hparams["remove"]))
    else:
        problems = enrol(hparams, paths, "model_dir" not in overrides)
        if problems:
            print(f"{len(problems)} failed:", file=sys.stderr)
        problems.raise_if_any()


if __name__ == "__main__":
    command_line.run(main)
