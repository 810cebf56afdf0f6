#!/usr/bin/env python3
"""What only a GPU can tell: its tests, then speed and memory on it, in at most ten minutes.

    ./run.sh gpu            # python tests/benchmarks/gpu.py [--device cuda:1] [--out_dir DIR]

Prints the tables of the parts and writes them to gpu.json, with the name of the device. A part that
fails, or takes longer than it may, does not stop the others; the exit status is then 1.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from run import ROOT, machine
from tables import Row, Table

MOST_SECONDS = 590
TESTS = "tests"
# In the order of what is to be known first.
SUBJECTS = {
    "gpu_training": 120,
    "validation": 40,
    "host_waits": 50,
    "kernels": 50,
    "gpu_compile": 110,
    "front_ends": 60,
}


class Part(NamedTuple):
    """A command, and how many seconds it may take."""

    name: str
    seconds: float
    command: list


def parts(device, quick, out_dir):
    """The tests marked gpu, and subjects of run.py, which leave tables in folders of out_dir."""
    pytest = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "gpu", "tests"]
    run = [sys.executable, str(ROOT / "tests/benchmarks/run.py"), "--device", device]
    run += ["--quick"] if quick else []
    yield Part(TESTS, 150, pytest)
    for name, seconds in SUBJECTS.items():
        yield Part(name, seconds, [*run, name, "--out_dir", str(out_dir / name)])


def run_part(part, seconds, device):
    """Runs a part for at most so many seconds: what became of it, and what it printed."""
    # A device that is none, to try all this, takes the place of a GPU in the tests.
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    environment |= {} if device == "cuda" else {"GPU_OF_TESTS": device}
    process = subprocess.Popen(
        part.command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        printed, _ = process.communicate()
        return f"stopped after {seconds:.0f} s", printed
    return "done" if process.returncode == 0 else f"failed ({process.returncode})", printed


def run_all(device, all_parts, results, path):
    """Runs the parts one after the other, and writes `results` after each of them to `path`."""
    end = time.monotonic() + MOST_SECONDS
    for part in all_parts:
        start = time.monotonic()
        print(f"== {part.name}", flush=True)
        became, printed = run_part(part, max(1.0, min(part.seconds, end - start)), device)
        print(printed, flush=True)
        found = {"name": part.name, "became": became, "seconds": time.monotonic() - start}
        if became != "done" or part.name == TESTS:
            found["printed"] = printed.splitlines()[-40:]
        results["parts"].append(found | {"tables": tables_of(part)})
        path.write_text(json.dumps(results, indent=1))


def tables_of(part):
    """What a part of run.py has measured, as far as it came."""
    if "--out_dir" not in part.command:
        return []
    path = Path(part.command[-1], "benchmarks.json")
    return json.loads(path.read_text())["tables"] if path.is_file() else []


def summary(results):
    """What became of each part, as a Table."""
    rows = [Row(part["name"], part["seconds"], target=part["became"]) for part in results["parts"]]
    return Table(f"Measured on {results['machine']}", rows)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="(cuda)")
    parser.add_argument("--out_dir", type=Path, default=ROOT / "results", help="(results)")
    parser.add_argument("--quick", action="store_true", help="small sizes, on any device")
    arguments = parser.parse_args()
    import torch

    if arguments.device.startswith("cuda") and not torch.cuda.is_available():
        version = f"torch {torch.__version__}"
        sys.exit(f"no GPU that {version} can use: nvidia-smi says whether the driver finds one")
    arguments.out_dir.mkdir(parents=True, exist_ok=True)
    results = {"machine": machine(arguments.device), "parts": []}
    print(results["machine"], flush=True)
    with tempfile.TemporaryDirectory() as name:
        all_parts = parts(arguments.device, arguments.quick, Path(name))
        run_all(arguments.device, all_parts, results, arguments.out_dir / "gpu.json")
    print(summary(results).text())
    print(f"written: {arguments.out_dir / 'gpu.json'}")
    sys.exit(any(part["became"] != "done" for part in results["parts"]))


if __name__ == "__main__":
    main()
