"""run_voxceleb.sh with a stand-in for Python that asks the test to run what it is called for."""

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from corpora import write_coloured_noise
from steered import start

from tests.helpers.trees import touch, write

ROOT = Path(__file__).resolve().parents[1]
PRESETS = ROOT / "hparams" / "presets"
VOX2 = [f"id0001{number}" for number in range(8)]
VOX1 = ["id10270", "id10271", "id10280", "id10300", "id10309"]
UTTERANCES = ("aBc/00001", "aBc/00002", "xYz/00001")
# Of a width and a batch that a test has time for; some noise and rooms, as in the preset.
TINY = """
front_end: xvector
width: 16
embedding_size: 32
batch_size: 4
chunk_samples: 8000
number_of_epochs: 3
optimizer: adam
lr: 0.003
average_decay: 0
precision: fp32
augmentation:
    noise: {minutes: 0.1}
    reverberation: {num_rooms: 5}
"""
# Prints its arguments, and ends with the status that it then reads.
STAND_IN = """#!/usr/bin/env bash
[[ $1 != -c ]] || exec "{python}" -S "$@"
printf '@'
printf ' %q' "$@"
echo
read -r status
exit "$status"
"""


class Script:
    """run_voxceleb.sh in a folder, and what it prints and calls."""

    def __init__(self, folder):
        self.folder = folder
        python = folder / "python"
        python.write_text(STAND_IN.format(python=sys.executable))
        python.chmod(0o755)

    def run(self, *arguments, answer=lambda call: 0):
        """Starts it; `answer` is asked for the exit status of each call of Python.

        Returns its own exit status, the calls as lists of words, and what it printed else.
        """
        process = subprocess.Popen(
            [ROOT / "run_voxceleb.sh", "--python", "./python", *arguments],
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        calls, printed = [], []
        for line in process.stdout:
            if line.startswith("@"):
                calls.append(shlex.split(line[1:]))
                process.stdin.write(f"{answer(calls[-1])}\n")
                process.stdin.flush()
            else:
                printed.append(line)
        process.stdin.close()
        return process.wait(), calls, "".join(printed)


@pytest.fixture
def script(tmp_path):
    return Script(tmp_path)


def options(call):
    """--key value of a call, as name -> list of values."""
    found = {}
    for name, value in zip(call, call[1:], strict=False):
        if name.startswith("--"):
            found.setdefault(name[2:], []).append(value)
    return found


# ---- a tiny VoxCeleb, from the disk to the report


@pytest.fixture
def voxceleb(script):
    """VoxCeleb1 and 2 of noise, and trials as in the official lists."""
    folder = script.folder
    for number, speaker in enumerate(VOX2 + VOX1):
        place = folder / ("v2/dev/aac" if speaker in VOX2 else "v1/wav") / speaker
        for index, name in enumerate(UTTERANCES):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            write_coloured_noise(place / f"{name}.wav", seed=10 * number + index)
    lines = []
    for number, speaker in enumerate(VOX1):
        first, *others = (f"{speaker}/{name}.wav" for name in UTTERANCES)
        lines += [f"1 {first} {other}" for other in others]
        lines += [f"0 {first} {other}/{name}.wav" for other in VOX1[:number] for name in UTTERANCES]
    write(folder / "l" / "veri_test2.txt", *lines)
    (folder / "tiny.yaml").write_text(TINY)
    corpus = ["--vox1_dir", "v1", "--vox2_dir", "v2", "--lists_dir", "l", "--allow_missing"]
    return [*corpus, "--preset", "tiny.yaml", "--out_dir", "my out"]


def running(folder, plans):
    """An answer that runs each call; `plans` are for the next ones, by the names of scripts."""

    def answer(call):
        path, *arguments = call
        process = start(
            arguments + ["--noprogressbar", "--device", "cpu"] * ("recipes" in path),
            plans.pop(Path(path).name, None),
            folder / "printed.txt",
            script_name=path,
            folder=folder,
        )
        process.join(60)
        return process.exitcode if process.exitcode >= 0 else 128 - process.exitcode

    return answer


def test_from_the_disk_to_the_report_killed_on_the_way(script, voxceleb):
    folder, out_dir = script.folder, script.folder / "my out"
    killing = {"train_vgg.py": {"steer": ["step", 9, "SIGKILL"]}}
    status, calls, printed = script.run(*voxceleb, answer=running(folder, killing))
    assert (status, len(calls)) == (128 + signal.SIGKILL, 2), (folder / "printed.txt").read_text()
    assert "run_voxceleb.sh: stage 1 (training) did not finish; to start again there: " in printed
    again = shlex.split(printed.rpartition("start again there: ")[2])
    assert again[3:] == [*voxceleb, "--stage", "1"]

    killing = {"verify.py": {"steer": ["validation", 1, "SIGKILL"]}}  # it embeds
    status, calls, printed = script.run(*voxceleb, answer=running(folder, killing))
    assert status == 128 + signal.SIGKILL, (folder / "printed.txt").read_text()
    assert "stage 3 (verification) did not finish" in printed

    rest = ["--stage", "3", "--out_dir", "my out"]
    status, calls, printed = script.run(*rest, answer=running(folder, {}))
    assert status == 0, (folder / "printed.txt").read_text()
    assert len((out_dir / "training" / "train_log.txt").read_text().splitlines()) == 3
    metrics = json.loads((out_dir / "report" / "metrics.json").read_text())
    assert [summary["num_trials"] for summary in metrics["systems"].values()] == [40, 40]
    assert len(metrics["systems"]) == 2 and (out_dir / "report" / "report.html").is_file()
    config = (out_dir / "large_margin" / "hyperparams.yaml").read_text()
    assert "margin: 0.5" in config and "width: 16" in config


# ---- what it calls


@pytest.fixture
def lists(script):
    """What stage 0 leaves, and the folders of a verification on three lists."""
    names = ["vox1_o_cleaned", "vox1_o", "vox1_e", "vox1_h_cleaned"]
    touch(script.folder / "out" / "lists", *(f"{name}.txt" for name in names))
    dirs = '{"train_data_dir": "/data/v 2", "valid_data_dir": "/data/v1"}'
    write(script.folder / "out" / "lists" / "data_dirs.json", dirs)
    return [f"out/lists/{names[place]}.txt" for place in (0, 2, 3)]


def test_calls(script, lists):
    arguments = "--vox1_dir v1 --vox2_dir v2 --lists_dir l --convert_to flac f --out_dir out"
    more = "--noise_dir musan --rir_dir rirs --preset a.yaml --preset b.yaml --num_gpus 4"
    for place in ("cosine", "as_norm"):
        touch(script.folder / "out/verification" / place, *(f"{Path(p).stem}/a" for p in lists))
    status, calls, _ = script.run(*arguments.split(), *more.split())
    assert status == 0
    corpus, training, tuning, cosine, as_norm, report = calls
    assert corpus[1:] == "--out_dir out/lists --train vox2".split() + arguments.split()[:9]
    for call in (training, tuning, cosine, as_norm):
        assert call[:4] == "-m torch.distributed.run --standalone --nproc_per_node=4".split()
    first, last = PRESETS / "voxceleb.yaml", PRESETS / "voxceleb_large_margin.yaml"
    assert options(training)["preset"] == [str(first), "a.yaml", "b.yaml"]
    assert options(tuning)["preset"] == [str(first), "a.yaml", "b.yaml", str(last)]
    assert options(tuning)["init_from"] == options(training)["out_dir"] == ["out/training"]
    for call in (training, tuning):
        assert options(call)["train_data_dir"] == ["/data/v 2"]
        assert (options(call)["noise_dir"], options(call)["rir_dir"]) == (["musan"], ["rirs"])
    for call in (cosine, as_norm):
        assert options(call)["trials"] == lists
        assert options(call)["model_dir"] == options(tuning)["out_dir"]
    assert "score_norm" not in options(cosine) and options(as_norm)["score_norm"] == ["as"]
    places = [
        Path("out/verification", b, Path(p).stem) for p in lists for b in ("cosine", "as_norm")
    ]
    assert options(report)["scores"] == [f"{place}/scores.txt" for place in places]


def test_stages_asked_for(script, lists):
    status, calls, _ = script.run("--stage", "2", "--stop-stage", "3", "--out_dir", "out")
    assert status == 0
    assert [Path(call[0]).name for call in calls] == ["train_vgg.py", "verify.py", "verify.py"]


def test_a_stage_that_fails_ends_the_run(script, lists):
    rest = ["--stage", "1", "--out_dir", "out"]
    status, calls, printed = script.run(*rest, answer=lambda call: 3)
    assert (status, len(calls)) == (3, 1)
    assert "--out_dir out --stage 1" in printed.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments, status, message",
    [
        (["--stages", "1"], 2, "unknown argument '--stages'"),
        (["--stage", "5"], 2, "--stage takes a number from 0 to 4, not '5'"),
        (["--stage", "3", "--stop-stage", "1"], 2, "--stage 3 comes after --stop-stage 1"),
        (["--num_gpus", "0"], 2, "--num_gpus takes a number from 1 on, not '0'"),
        (["--convert_to", "flac"], 2, "--convert_to takes a kind of file and a folder"),
        (["--rir_dir"], 2, "--rir_dir takes a value"),
        (["--vox1_dir", "v1", "--vox2_dir", "v2"], 2, "--lists_dir is needed"),
        (["--python", "./none", "--stage", "1"], 1, "there is no ./none: make it by ./run.sh"),
        (["--stage", "1"], 1, "results/voxceleb/lists: has no lists yet: run stage 0 first"),
    ],
)
def test_wrong_arguments_are_named(script, arguments, status, message):
    found, calls, printed = script.run(*arguments)
    assert (found, calls) == (status, [])
    assert message in printed


def test_verification_without_lists(script):
    dirs = '{"valid_data_dir": "/data/v1"}'
    write(script.folder / "results/voxceleb/lists/data_dirs.json", dirs)
    status, calls, printed = script.run("--stage", "3")
    assert (status, calls) == (1, []) and "has no lists of trials: run stage 0" in printed


def test_help_names_stages_and_options(script):
    status, _, printed = script.run("-h")
    text = (ROOT / "run_voxceleb.sh").read_text()
    parsed = text[text.index("case $1 in") : text.index("esac")]
    for option in {word for word in parsed.replace(")", " ").split() if word.startswith("--")}:
        assert option in printed or option == "--stop_stage"
    assert status == 0 and "hparams/presets/voxceleb.yaml" in printed
