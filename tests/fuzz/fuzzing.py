"""What the fuzzers share: many made-up cases, each within limits of time and memory.

A fuzzer is a file of tests that also runs long by hand:

    python tests/fuzz/test_lists.py --cases 1000000 --seed 3
    python tests/fuzz/test_lists.py --first 4711 --cases 1 --seed 3    # one case again

It imports this module before `local`, and ends with

    if __name__ == "__main__":
        fuzzing.main(case)

A case is a function of a
random.Random, from which it draws all that it does. It passes if it ends quickly, in little memory,
without an exception or with an InputError, and its own assertions hold.
"""

import argparse
import collections
import contextlib
import logging
import random
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# For a fuzzer that is started by hand; pytest does the same.
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

from local.errors import InputError

# Of one case, in this process: time on its processors, which other programs do not change.
MAX_SECONDS = 2.0
# A case that waits for something uses no processor: it is ended after this time.
MAX_WAIT_SECONDS = 20
# What the process may grow by while cases run: with Python and torch this stays below 1 GB.
MAX_GROWTH_BYTES = 500_000_000
# What it can't grow by, so that a failure does not fill the machine.
MAX_ALLOCATED_BYTES = 4_000_000_000
MAX_FAILURES = 20

Report = collections.namedtuple("Report", "cases refused seconds longest peak_bytes failures")


class TookTooLong(BaseException):
    """Not an Exception: code under test that catches all of those must not catch this one."""


def run(case, cases, seed, first=0):
    """Runs cases `first` to `first + cases` of a seed, each by itself the same as in any other run.

    Arguments
    ---------
    case : callable
        random.Random -> None
    cases, seed, first : int

    Returns
    -------
    report : Report
        cases: those that ran; refused: those that an InputError ended; longest: seconds;
        peak_bytes: of the process's memory; failures: for each kind of failure the text of its
        first case. After `MAX_FAILURES` kinds it stops.
    """
    failures, refused, longest, highest, start = {}, 0, 0.0, 0, time.monotonic()
    number, before = first - 1, _reset_peak()
    with _limits():
        for number in range(first, first + cases):
            kind, text, seconds = _try(case, random.Random(f"{seed}/{number}"))
            refused += kind == "refused"
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            longest, highest = max(longest, seconds), max(highest, peak)
            if peak - before > MAX_GROWTH_BYTES:
                kind, text = "large", text or f"it took {(peak - before) / 1e6:.0f} MB"
                _reset_peak()
            if text:
                failures.setdefault(kind, f"--seed {seed} --first {number} --cases 1: {text}")
            if len(failures) >= MAX_FAILURES:
                break
    seconds = time.monotonic() - start
    texts = list(failures.values())
    return Report(number + 1 - first, refused, seconds, longest, highest, texts)


def _try(case, rng):
    """(kind, text of the failure or "", seconds) of one case."""
    start = time.process_time()
    signal.alarm(MAX_WAIT_SECONDS)
    kind = text = ""
    try:
        case(rng)
    except InputError as error:
        kind = "refused"
        if _ran_out_of_memory(error):
            kind, text = "memory", f"an InputError hides that memory ran out: {error}"
        elif not str(error).strip():
            kind, text = "empty message", "the InputError has no message"
    except (Exception, TookTooLong) as error:
        # Failures at one place are of one kind, whatever their text.
        places = traceback.extract_tb(error.__traceback__)
        kind = (type(error).__name__, places[-1].filename, places[-1].lineno)
        text = traceback.format_exc()
    finally:
        signal.alarm(0)
    seconds = time.process_time() - start
    if not text and seconds > MAX_SECONDS:
        kind, text = "slow", f"it took {seconds:.1f} s"
    return kind, text, seconds


def _ran_out_of_memory(error):
    """Whether a failure to get memory led to this error."""
    while error is not None:
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def _limits():
    """A limit on what the process can allocate, and an alarm."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = _memory("VmSize") + MAX_ALLOCATED_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most if hard < 0 else min(most, hard), hard))
    handler = signal.signal(signal.SIGALRM, _give_up)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _give_up(*_):
    raise TookTooLong(f"it had not ended after {MAX_WAIT_SECONDS} s")


def _reset_peak():
    """Sets the peak of the memory to what is in use now, and returns it in bytes."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return _memory("VmRSS")


def _memory(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def assert_sound(case, cases, seed):
    """The short form, for a test: fails with all kinds of failures."""
    report = run(case, cases, seed)
    assert not report.failures, "\n\n".join(report.failures)
    return report


def main(case):
    """The long form, by hand: prints what came out, and exits with 1 if anything failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    options = parser.parse_args()
    logging.disable()
    warnings.simplefilter("ignore")
    report = run(case, options.cases, options.seed, options.first)
    print(*report.failures, sep="\n\n", end="\n\n" if report.failures else "")
    print(
        f"{report.cases:,} cases in {report.seconds:.0f} s: {report.refused:,} refused, "
        f"{len(report.failures)} kinds of failure; the longest {report.longest:.2f} s, "
        f"the process at most {report.peak_bytes / 1e6:.0f} MB"
    )
    sys.exit(bool(report.failures))


# How bytes and texts are mutated.

NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 2**24, 2**31 - 1, 2**31)
NUMBERS += (2**32 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1)
WORDS = ("", "0", "-1", "1e308", "-0.0", "nan", "inf", "null", "9" * 30, "1" * 5000, "\u00e9")
WORDS += ("\ufeff", "\x00", "\t", "\u00a0", "\u2028", "\r\n", "\\", "'", '"', "#", "../", "/", "~")


def mutate_bytes(rng, data, most=4, words=WORDS):
    """Bytes with one to `most` changes: bits, cuts, doubled parts, numbers, words of text.

    Example
    -------
    >>> mutate_bytes(random.Random(0), b"RIFF") != b"RIFF"
    True
    """
    data = bytearray(data)
    for _ in range(rng.randint(1, most)):
        place = rng.randrange(len(data) + 1)
        end = min(len(data), place + rng.choice((1, 2, 4, 8, 64, 4096)))
        what = rng.randrange(7)
        if what == 0 and place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        elif what == 1:
            del data[place : rng.choice((end, len(data)))]
        elif what == 2:
            data[place:place] = data[place:end] * rng.choice((1, 2, 50))
        elif what == 3:
            data[place:end] = rng.randbytes(end - place)
        elif what == 4:
            size, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
            number = rng.choice(NUMBERS) % (1 << 8 * size)
            data[place : place + size] = number.to_bytes(size, order)
        elif what == 5:
            data[place : rng.choice((place, end))] = rng.choice(words).encode()
        else:
            source = rng.randrange(len(data) + 1)
            data[place:end] = data[source : source + end - place]
    return bytes(data)


def mutate_text(rng, text, most=4, words=WORDS):
    """Text with one to `most` changes; what is no longer UTF-8 stays so when it is written.

    Write it with `errors="surrogateescape"`.
    """
    data = mutate_bytes(rng, text.encode(errors="surrogateescape"), most, words)
    return data.decode(errors="surrogateescape")
