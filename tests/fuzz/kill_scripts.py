#!/usr/bin/env python3
"""Kills the scripts at random moments, starts them again, and compares what they write.

    python tests/fuzz/kill_scripts.py [SCRIPT ...] [--kills 10] [--seed 0]

Each script first runs in peace. Then it is killed again and again, by SIGKILL, SIGTERM and Ctrl-C
in turns, and at last runs to its end in the same directory. The table says whether all files are
the same as those in peace, which others are left, and how many processes outlived a kill.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

import torch  # noqa: E402
from corpora import write_corpus  # noqa: E402
from exports import make_model_dir  # noqa: E402
from original_network import OriginalNetwork, checkpoint_of  # noqa: E402
from trees import touch, write  # noqa: E402

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# Shards of embeddings after 0.2 in place of 30 seconds, so that there are some to go on from.
START = """
import runpy, sys
sys.path.insert(0, {root!r})
from local.embeddings import shards
shards.SHARD_SECONDS = 0.2
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
# Of processes that were told to end: they may have to finish a batch or a file.
PATIENCE_SECONDS = 30
# Those whose parent is gone look for it every few seconds.
ORPHAN_SECONDS = 12


def prepare_inputs(inputs):
    """Writes a corpus, two models, scores and a checkpoint; returns the settings of the corpus."""
    settings = write_corpus(inputs, num_speakers=8, num_utterances=40, seconds=2.0)
    make_model_dir(inputs / "model", pooling="multi_head", width=32)
    make_model_dir(inputs / "another", width=32)
    torch.save(checkpoint_of(OriginalNetwork()), inputs / "original.chkpt")
    write_trees(inputs)
    return settings


def write_trees(inputs):
    """Writes a VoxCeleb, a CN-Celeb and a LibriSpeech, and lists of two speakers; v2 has audio."""
    for number, path in enumerate(sorted((inputs / "audio").rglob("*.wav"))[:40]):
        place = inputs / f"v2/dev/aac/id0001{number // 10}/a/{number % 10:05}.m4a"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)  # ffmpeg knows it by its content
    speakers = [f"id1027{number}" for number in range(10)]
    touch(inputs / "v1", *(f"wav/{s}/{v}/00001.wav" for s in speakers for v in "ab"))
    pairs = [f"1 {s}/a/00001.wav {s}/b/00001.wav" for s in speakers]
    pairs += [f"0 {s}/a/00001.wav {t}/b/00001.wav" for s in speakers for t in speakers if s < t]
    write(inputs / "l" / "veri_test2.txt", *pairs)
    touch(inputs / "cn" / "data", *(f"{s}/drama-01-00{n}.flac" for s in speakers for n in (1, 2)))
    write(inputs / "cn" / "spk.lst", *speakers)
    for part in ("train-clean-100", "test-clean"):
        own = [f"{len(part)}{number}" for number in range(9)]
        names = [f"{s}/7/{s}-7-000{n}.flac" for s in own for n in (1, 2)]
        touch(inputs / "ls" / part, *names)
    for name in ("a", "b"):
        write(inputs / f"{name}.txt", f"{name}/1 0 -1", f"{name}/2 1 -1")
    paths = {
        f"{n}-{u}": inputs / "audio" / f"s{n}" / f"u.{u}.wav" for n in (0, 1) for u in range(20)
    }
    write(inputs / "kaldi" / "wav.scp", *(f"{name} cat {path} |" for name, path in paths.items()))
    write(inputs / "kaldi" / "utt2spk", *(f"{name} {name[0]}" for name in paths))


def command_lines(inputs, settings):
    """Name -> the script and its arguments."""
    valid = {name: path for name, path in settings.items() if name.startswith("valid")}
    audio, model = inputs / "audio", inputs / "model"
    embed = ["recipes/extract_embeddings.py", "hparams/embed.yaml", "--model_dir", model]
    embed += ["--files", audio, "--batch_seconds", 8, "--device", "cpu"]
    verify = ["recipes/verify.py", "hparams/verify.yaml", "--model_dir", model, *options(valid)]
    verify += ["--batch_seconds", 8, "--device", "cpu", "--output_dir", "out"]
    return {
        "extract_embeddings, npz": [*embed, "--out", "e.npz"],
        "extract_embeddings, ark": [*embed, "--out", "out/e.ark", "--alignment", True],
        "verify": verify,
        "enrol": ["recipes/enrol.py", "hparams/enrol.yaml", "--model_dir", model, "--name", "anna"]
        + [audio / "s0"],
        "extract_features": ["recipes/extract_features.py", "hparams/vgg.yaml", "--files", audio]
        + ["--feature_dir", "features", "--num_workers", 2],
        "calibrate": ["recipes/calibrate.py", "hparams/calibrate.yaml", "--scores"]
        + [inputs / "verified" / "scores.txt", "--out", "calibration.json"],
        "export_model": ["recipes/export_model.py", "hparams/export.yaml", "--model_dir", model]
        + ["--export_dir", "export"],
        "pack_audio": ["recipes/pack_audio.py", audio, "--out_dir", "packed"]
        + ["--shard_gb", 0.002],
        "prepare": ["recipes/prepare.py", "hparams/vgg.yaml", *options(settings)]
        + ["--out_dir", "run"],
        "convert_original": ["recipes/convert_original.py", inputs / "original.chkpt"]
        + ["--out_dir", "model"],
        "combine_models": ["recipes/combine_models.py", model, inputs / "another"]
        + ["--out_dir", "both"],
        "folder": ["local/corpora/folder.py", audio, "--out_dir", "lists"],
        **corpora_command_lines(inputs),
        "demo": ["local/corpora/demo.py", "demo", "--train_speakers", 6, "--trial_speakers", 4]
        + ["--utterances", 6],
    }


def corpora_command_lines(inputs):
    """The same of the scripts that list corpora."""
    out = ["--out_dir", "lists"]
    vox2 = ["--vox2_dir", inputs / "v2", "--convert_to", "flac", "flac"]
    labels = [part for name in "ab" for part in ("--labels", inputs / f"{name}.txt", inputs)]
    arguments = {
        "voxceleb": [*vox2, "--vox1_dir", inputs / "v1", "--lists_dir", inputs / "l"],
        "cnceleb": [inputs / "cn"],
        "librispeech": [inputs / "ls", "--train", "train-clean-100", "--test", "test-clean"],
    }
    lines = {
        name: [f"local/corpora/{name}.py", *own, *out, "--allow_missing"]
        for name, own in arguments.items()
        if name != "voxceleb" or shutil.which("ffmpeg")
    }
    kaldi = ["local/corpora/kaldi.py", inputs / "kaldi", "--run_pipes"]
    return lines | {"join": ["local/corpora/join.py", *labels, *out], "kaldi": [*kaldi, *out]}


def options(settings):
    """Settings as a part of a command line."""
    return [part for name, value in settings.items() for part in (f"--{name}", value)]


def start(command, folder):
    """Starts a script in a session of its own."""
    script, *arguments = map(str, command)
    arguments = [str(ROOT / part) if part.startswith("hparams/") else part for part in arguments]
    return subprocess.Popen(
        [sys.executable, "-c", START.format(root=str(ROOT)), str(ROOT / script), *arguments],
        cwd=folder,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def session_members(leader):
    """The processes of a session that are left, without zombies."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(session) == leader and state != "Z":
            found.append(int(path.parent.name))
    return found


def kill(process, which):
    """Sends a signal to a script; returns how many of its processes outlive it."""
    process.send_signal(which)
    try:
        process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
    deadline = time.monotonic() + ORPHAN_SECONDS
    while (left := session_members(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.2)
    for number in left:
        os.kill(number, signal.SIGKILL)
    return len(left)


def contents(folder):
    """The bytes of each file below a folder, by name; empty folders, too."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if path.is_file() or not any(path.iterdir())
    }


def run_to_end(command, folder):
    """Runs a script; returns how many seconds it took, and raises what it printed if it failed."""
    began = time.monotonic()
    process = start(command, folder)
    printed, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}:\n{printed}")
    return time.monotonic() - began


def try_script(command, work, num_kills, rng):
    """Kills one script; returns the cells of its row."""
    folder = work / "run"
    folder.mkdir()
    seconds = run_to_end(command, folder)
    expected = contents(folder)
    shutil.rmtree(folder)
    folder.mkdir()
    num_orphans, num_caught = 0, 0
    for number in range(num_kills):
        process = start(command, folder)
        # The first half is mostly imports.
        time.sleep(seconds * rng.uniform(0.3, 1.0))
        num_caught += process.poll() is None
        num_orphans += kill(process, SIGNALS[number % len(SIGNALS)])
        if contents(folder) == expected:  # it was done before: once more from the beginning
            shutil.rmtree(folder)
            folder.mkdir()
    last = run_to_end(command, folder)
    found = contents(folder)
    shutil.rmtree(folder)
    differing = [name for name in expected if found.get(name, b"") != expected[name]]
    others = [name for name in found if name not in expected]
    return (
        f"{num_caught} of {num_kills}",
        "yes" if not differing else ", ".join(differing),
        ", ".join(others) or "none",
        str(num_orphans),
        f"{seconds:.1f}, {last:.1f}",
    )


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scripts", nargs="*", help="beginnings of names (all)")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("| script | kills | same bytes? | leftovers | orphans | seconds in peace, at last |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name).resolve()
        lines = command_lines(work / "inputs", prepare_inputs(work / "inputs"))
        run_to_end([*lines["verify"][:-1], work / "inputs" / "verified"], work)
        for script, command in lines.items():
            if script.startswith(tuple(options.scripts or [""])):
                rng = random.Random(f"{script} {options.seed}")
                cells = try_script(command, work, options.kills, rng)
                print("|", " | ".join([script, *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
