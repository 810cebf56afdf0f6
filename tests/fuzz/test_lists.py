"""Lists with damage: whatever is in them, each reader returns a result or an InputError.

    python tests/fuzz/test_lists.py --cases 1000000

A case draws a reader, a list that it takes, and what happens to its bytes.
"""

import logging
import os
import tempfile
from pathlib import Path

import fuzzing

from local.audio.checking import AudioInfo
from local.audio.parts import split_part
from local.corpora import kaldi_dirs
from local.corpora.kaldi_names import name_utterances
from local.data.manifest_files import COLUMNS, read_manifest
from local.data.overlap import overlap_warning
from local.errors import InputError, Problems
from local.evaluation import calibration
from local.evaluation.conditions import Grouping
from local.evaluation.speakers import find_speakers
from local.lists.enrolment import enrol_models
from local.lists.file_lists import find_recordings
from local.lists.labels import read_labels
from local.lists.speaker_table import read_speaker_table
from local.lists.trials import read_trial_list, read_trials
from local.scoring.cohort import choose_cohort
from local.scoring.quality import read_quality
from local.scoring.score_files import read_scores
from local.scoring.trial_scores import read_trial_scores

CLIENTS = "a/1 a/2\na/1 a/3\nb/1 b/2\n"
IMPOSTORS = "a/1 b/1\na/2 b/2\na/3 b/1\n"
SCORES = "a/1 a/2 target 0.75\na/1 b/1 nontarget -0.5\na/2 b/2 nontarget 1e-3\n"
SPEAKERS = "a/1 a\na/2 a\na/3 a\nb/1 b\nb/2 b\n"
TABLE = "speaker,sex,age\na,f,31\nb,m,64\n"
QUALITY = "utterance\tseconds\tcohort_mean\na/1\t1.5\t0.1\na/2\t2\t0.2\nb/1\t3\t0.3\nb/2\t4\t0.1\n"
MODELS = "m a/1 a/2\nn b/1\n"
MANIFEST = f"{','.join(COLUMNS)}\na/1,1.5,/x/a/1.wav,0,24000,0\nb/1,2.0,/x/b/1.wav,0,32000,1\n"
CALIBRATION = '{"p_target": 0.05, "weights": {"score": 2.5}, "offset": -1.5, "quality": []}\n'
# What may stand where something else belongs.
PIECES = [
    *(b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xc3", b"\xed\xa0\x80", b"\x1a", b"\x85"),
    *(
        b"\t",
        b" ",
        b"  ",
        b"\n",
        b"\r",
        b"\r\n",
        b"\v",
        b"\f",
        b"\x1c",
        b"\n\n\n",
        b",",
        b'"',
        b"'",
    ),
    *("\u00a0".encode(), "\u2028".encode(), "\u200b".encode(), "\u0663".encode(), "ä".encode()),
    *(b"nan", b"inf", b"-inf", b"1e999", b"1e-999", b"1_0", b"0x10", b"-1", b"-0", b"1e39", b"+.5"),
    *(b"9" * 18, b"9" * 400, b"9" * 5000, b"a" * 140_000, b"a/" * 5000, b"target", b"nontarget"),
    *(b"{", b"}", b"[" * 3000, b"null", b"true", b'{"a":1}', b"../a/1", b"a//1", b"/", b"."),
    *(b"\\", b"\x00\x00\xfe\xff", b"#", b"%", b"$a", b"|", b"-", b"a/1", b"b/1", b"m"),
]


def read_enrolment(path):
    trials = path.with_name("of_models.txt")
    trials.write_text("1 m a/3\n0 n a/3\n")
    enrol_models(read_trial_list(trials), path)


def read_speakers(path):
    find_speakers(read_trials(*both(path)), path)


def read_table(path):
    table = read_speaker_table(path)
    trials = read_trials(*both(path))
    edges = {"age": [18, 60]} if "age" in table else {}
    list(Grouping(table, edges, ()).conditions(trials, find_speakers(trials)))


def both(path):
    """The usual trials, beside a list."""
    files = path.with_name("usual_clients.txt"), path.with_name("usual_impostors.txt")
    for file, text in zip(files, (CLIENTS, IMPOSTORS), strict=True):
        if not file.exists():
            file.write_text(text)
    return files


def read_cohort(path):
    choose_cohort(path, path.with_name("cohort.csv"), 5)


def read_overlap(path):
    other = path.with_name("usual.csv")
    other.write_text(MANIFEST)
    overlap_warning(path, other)
    overlap_warning(other, path)


def read_kaldi(name):
    """A function that reads a list as a file of a Kaldi data directory."""

    def read(path):
        folder = path.with_name(f"kaldi_{name}")
        if not folder.exists():
            folder.mkdir()
            for other, text in KALDI.items():
                (folder / other).write_text(text)
        (folder / name).write_bytes(path.read_bytes())
        problems = Problems()
        data_dir = kaldi_dirs.read_dir(folder, problems)
        kaldi_dirs.read_speakers(data_dir, problems)
        kaldi_dirs.read_models(data_dir, problems)
        problems.raise_if_any()
        commands = dict.fromkeys((own.source for own in data_dir.recordings.values()), "gone.flac")
        name_utterances(data_dir, data_dir.utterances, commands, Problems())

    return read


def read_parts(path):
    for name in read_labels(path).names:
        recording, part = split_part(name)
        assert split_part(part.name(recording)) == (recording, part)
        part.cut(recording, AudioInfo(16000, 8000, 2))


def read_beside_scores(path):
    folder = path.with_name("beside")
    folder.mkdir(exist_ok=True)
    (folder / "scores.txt").write_text(SCORES)
    for name in ("warnings.txt", "quality.txt", "utterances.csv"):
        (folder / name).unlink(missing_ok=True)
        os.link(path, folder / name)
        try:
            read_trial_scores([str(folder / "scores.txt")])
        except InputError:
            pass
        (folder / name).unlink()


KALDI = {
    "wav.scp": "r1 a/1.wav\nr2 a/2.wav\n",
    "segments": "a1 r1 0 1.5\na2 r1 1.5 2\nb1 r2 0.25 -1\n",
    "reco2file_and_channel": "r1 r1 A\nr2 r2 2\n",
    "utt2spk": "a1 a\na2 a\nb1 b\n",
    "spk2utt": "a a1 a2\nb b1\n",
}
PARTS = "a#t=0.25,1.5 0 -1\na#channel=2 0 -1\nb#t=1&channel=1 1 -1\n"
# What is read, and a list as it should be.
READERS = [
    (read_labels, "a/1 0 -1\na/2 0 -1\nb/1 1 -1\n"),
    (lambda path: read_trials(path, both(path)[1]), CLIENTS),
    (lambda path: read_trials(both(path)[0], path), IMPOSTORS),
    (read_trial_list, "1 a/1 a/2\n0 a/1 b/1\n0 a/2 b/1 \n"),
    (read_trial_list, "a/1 a/2 target near\na/1 b/1 nontarget far\n"),
    (lambda path: read_trial_list(path).digest(), "a/1 a/2 target\na/1 b/1 nontarget\n"),
    (read_enrolment, MODELS),
    (read_speakers, SPEAKERS),
    (read_table, TABLE),
    (read_table, TABLE.replace(",", "\t")),
    (read_table, TABLE.replace(",", " ")),
    (read_scores, SCORES),
    (read_scores, SCORES.replace("\n", " near\n")),
    (lambda path: read_quality(path, ["a/1", "a/2", "b/1", "b/2"]), QUALITY),
    (read_beside_scores, QUALITY),
    (read_beside_scores, MANIFEST),
    (lambda path: find_recordings([str(path)], Problems()), "a/1\na/2\n"),
    (lambda path: find_recordings([f"{path}.scp"], Problems()), "a /x/a.wav\nb b.wav\n"),
    (lambda path: list(read_manifest(path)), MANIFEST),
    (read_cohort, MANIFEST),
    (read_overlap, MANIFEST),
    (calibration.load, CALIBRATION),
    (read_parts, PARTS),
    *((read_kaldi(name), text) for name, text in KALDI.items()),
]


def damaged(content, rng):
    """Bytes with one to four changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        content = changed(content, rng)
    return content


def changed(content, rng):
    place, end = sorted(rng.choices(range(len(content) + 1), k=2))
    before, after = content[:place], content[end:]
    lines = content.splitlines(keepends=True) or [b""]
    changes = [
        lambda: before + rng.choice(PIECES) + content[place:],
        lambda: before + rng.choice(PIECES) + after,
        lambda: before + rng.randbytes(rng.randint(1, 4)) + content[place:],
        lambda: replaced_field(content, rng),
        lambda: flipped(content, rng),
        lambda: before + after,
        lambda: before,
        lambda: content + rng.choice(lines),
        lambda: b"".join(rng.sample(lines, len(lines))),
        lambda: content.replace(*rng.sample([b" ", b"\n", b"\t", b",", b"1", b"a"], 2)),
        lambda: content.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-32"))),
    ]
    return rng.choice(changes)()


def replaced_field(content, rng):
    fields = content.split(b" ")
    fields[rng.randrange(len(fields))] = rng.choice(PIECES)
    return b" ".join(fields)


def flipped(content, rng):
    values = bytearray(content or b" ")
    values[rng.randrange(len(values))] ^= 1 << rng.randrange(8)
    return bytes(values)


FOLDER = tempfile.TemporaryDirectory()


def case(rng):
    """Reads a damaged list."""
    read, text = rng.choice(READERS)
    path = Path(FOLDER.name, "list")
    content = damaged(text.encode(), rng)
    path.write_bytes(content)
    Path(f"{path}.scp").write_bytes(content)
    logging.disable(logging.WARNING)
    try:
        read(path)
    except InputError as error:
        assert len(str(error)) < 2_000_000
        raise
    finally:
        logging.disable(logging.NOTSET)


def test_damaged_lists():
    report = fuzzing.assert_sound(case, 1000, seed=0)
    assert 200 < report.refused < 800


def test_lists_without_damage_are_read(tmp_path):
    for read, text in READERS:
        for path in (tmp_path / "list", tmp_path / "list.scp"):
            path.write_text(text)
        if read is read_cohort:
            text = text.replace("/x/a/1.wav", str(tmp_path / "list"))
            text = text.replace("/x/b/1.wav", str(tmp_path / "list"))
            (tmp_path / "list").write_text(text)
        read(tmp_path / "list")


if __name__ == "__main__":
    fuzzing.main(case)
