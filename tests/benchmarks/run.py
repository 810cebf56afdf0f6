#!/usr/bin/env python3
"""Measures the recipe beside its alternatives and limits.

    python tests/benchmarks/run.py [SUBJECT ...] [--device cpu|cuda] [--data_dir DIR]

Prints a table for each subject and writes all of them to benchmarks.md and benchmarks.json. What is
compared in a table is measured in turns; figures are medians, with half the distance of the
quartiles. Each subject has a process of its own, but for --quick. `accuracy` and `export` train on
real speech: they take some minutes, and run only where --data_dir says where that is.
"""

import argparse
import importlib
import json
import logging
import multiprocessing
import os
import platform
import subprocess
import sys
from pathlib import Path

from processes import apart

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
# Progress bars of what is measured; tqdm looks when it is imported.
os.environ["TQDM_DISABLE"] = "1"

SUBJECTS = (
    "log_mel",
    "feature_script",
    "chunk_reading",
    "packed_audio",
    "embeddings",
    "training",
    "front_ends",
    "augmentation",
    "validation",
    "sharing",
    "checkpoints",
    "metrics",
    "evaluation",
    "scoring",
    "score_norm",
    "score_files",
    "trial_lists",
    "preparation",
    "startup",
    "classifier",
    "export",
    "accuracy",
    "gpu_training",
    "gpu_compile",
    "host_waits",
    "kernels",
)
NEED_DATA = {"export", "accuracy"}
# Without being named, they run with --device cuda only.
FOR_GPUS = {"gpu_training", "gpu_compile", "host_waits", "kernels"}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=", ".join(SUBJECTS))
    parser.add_argument("--device", default="cpu", help="of the network (default: cpu)")
    parser.add_argument("--out_dir", type=Path, default=ROOT / "results", help="(results)")
    parser.add_argument(
        "--data_dir",
        type=Path,
        help="audio/, train_labels.txt, dev_clients.txt, dev_impostors.txt; for the last two",
    )
    parser.add_argument(
        "--num_lines", type=int, default=100_000, help="of the label file of preparation (100000)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: shows that it works, not how fast it is"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.subjects) - set(SUBJECTS)
    if unknown:
        parser.error(f"no such subject: {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")
    for subject in NEED_DATA.intersection(arguments.subjects):
        if not arguments.data_dir:
            parser.error(f"{subject} needs --data_dir, a folder with audio/ and lists")
    if arguments.data_dir and not (arguments.data_dir / "train_labels.txt").is_file():
        parser.error(
            f"{arguments.data_dir} has no train_labels.txt; --data_dir has audio/ and lists"
        )
    return arguments


def chosen_subjects(arguments):
    """Those that were named, or all that can run."""
    if arguments.subjects:
        return arguments.subjects
    left_out = set() if arguments.data_dir else NEED_DATA
    left_out = left_out | (set() if arguments.device.startswith("cuda") else FOR_GPUS)
    return [name for name in SUBJECTS if name not in left_out]


def measure(subject, options):
    """The Table of one subject, measured in this process."""
    from local.machine import runtime

    # As in the recipe's scripts; a spawned process would spawn the workers of data loaders too.
    multiprocessing.set_start_method("fork", force=True)
    logging.disable(logging.WARNING)
    runtime.keep_freed_memory()
    return importlib.import_module(f"subjects.{subject}").measure(options)


def machine(device):
    """What the figures were measured on."""
    import torch

    processor = platform.processor() or platform.machine()
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            processor = line.split(":", 1)[1].strip()
            break
    features = [
        name
        for name, has in (
            ("AVX-512", torch.cpu._is_avx512_supported()),
            ("bf16", torch.cpu._is_avx512_bf16_supported()),
            ("AMX", torch.cpu._is_amx_tile_supported()),
        )
        if has
    ]
    text = f"{len(os.sched_getaffinity(0))} cores of {processor} ({', '.join(features)})"
    if device.startswith("cuda"):
        gpu = torch.cuda.get_device_properties(device)
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(command, capture_output=True, text=True).stdout.split()
        text += f", {gpu.name} ({gpu.total_memory / 1e9:.0f} GB, compute capability {gpu.major}."
        text += f"{gpu.minor}, driver {driver[0] if driver else 'unknown'})"
    return f"{text}, torch {torch.__version__}, Python {platform.python_version()}"


def write(out_dir, where, tables):
    """The tables as benchmarks.md and benchmarks.json."""
    out_dir.mkdir(parents=True, exist_ok=True)
    sections = [f"# Benchmarks\n\nMeasured on {where}.", *(table.markdown() for table in tables)]
    (out_dir / "benchmarks.md").write_text("\n\n".join(sections) + "\n")
    content = {"machine": where, "tables": [table.as_dict() for table in tables]}
    (out_dir / "benchmarks.json").write_text(json.dumps(content, indent=1))


def main():
    arguments = parse_arguments()
    where = machine(arguments.device)
    print(f"{where}\n", flush=True)
    tables = []
    for subject in chosen_subjects(arguments):
        tables.append(apart(measure, subject, arguments, quick=arguments.quick))
        print(tables[-1].text(), flush=True)
        write(arguments.out_dir, where, tables)
    print(f"written: {arguments.out_dir}/benchmarks.md and benchmarks.json")


if __name__ == "__main__":
    main()
