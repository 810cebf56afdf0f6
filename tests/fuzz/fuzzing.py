"""Runs many numbered cases in a process apart, within limits of time and memory."""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections import Counter

SECONDS = 2.0  # of computing
MEGABYTES = 1000  # more than at the beginning
PATIENCE_SECONDS = 60.0  # of waiting for a process that computes nothing, or is starved


def fuzz(case, numbers, folder):
    """Calls case(number, folder) for each number; returns a Counter of what it returned.

    Raises an AssertionError with the number of the first case that raises anything, ends the
    process, takes more than 2 s, or more than 1 GB.
    """
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    current = context.Value("q", -1)
    child = context.Process(target=_run, args=(case, numbers, folder, results, current))
    child.start()
    try:
        while child.is_alive():
            before = current.value
            child.join(PATIENCE_SECONDS)
            assert not child.is_alive() or current.value != before, f"case {before} hangs"
        assert not results.empty(), f"case {current.value} ends the process: {child.exitcode}"
        outcomes, problem = results.get()
        assert problem is None, problem
        return outcomes
    finally:
        child.kill()


def _run(case, numbers, folder, results, current):
    outcomes, problem = Counter(), None
    case(numbers[0], folder)  # what is imported late is not part of a case
    limit = _megabytes() + MEGABYTES
    for number in numbers:
        current.value = number
        began = time.process_time()
        try:
            outcomes[case(number, folder)] += 1
        except Exception as error:
            problem = f"case {number} raises {type(error).__name__}: {error}"
        seconds = time.process_time() - began
        if seconds > SECONDS:
            problem = f"case {number} takes {seconds:.1f} s"
        if _megabytes() > limit:
            problem = f"case {number} takes more than {MEGABYTES} MB"
        if problem:
            break
    results.put((outcomes, problem))


def _megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run_long(case, description):
    """Runs as many cases as the command line asks for, and prints what came of them."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--cases", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        outcomes = fuzz(case, range(options.first, options.first + options.cases), folder)
    print(f"{options.cases} cases in {time.perf_counter() - began:.0f} s: {dict(outcomes)}")
