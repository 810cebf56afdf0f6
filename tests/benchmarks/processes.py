"""Calls and scripts in processes of their own: their threads and memory are nobody else's."""

import multiprocessing
import os
import runpy
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor


def apart(function, *arguments, quick=False):
    """What a function of a module returns, called in a new process; in this one if `quick`."""
    if quick:
        return function(*arguments)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def run_script(path, *arguments, quick=False):
    """Runs a Python script to its end, and hides what it prints.

    With `quick`, it runs in a fork of a process that has only imported the libraries. A fork of
    this one would not do: torch computes no gradients in it once threads of this one have.
    """
    if not quick:
        subprocess.run([sys.executable, path, *arguments], check=True, capture_output=True)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["speechbrain"])
    process = context.Process(target=_run_here, args=[str(one) for one in (path, *arguments)])
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{path} ended with {process.exitcode}")


def _run_here(path, *arguments):
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
    sys.argv = [path, *arguments]
    runpy.run_path(path, run_name="__main__")
