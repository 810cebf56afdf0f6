"""Commands to processes: several at once, each with its share of the machine."""

import ctypes
import os
import signal
import subprocess
import time
from typing import NamedTuple

from local.atomic import writing

# A job on a CPU takes a few GB, however many cores there are.
MAX_JOBS_ON_CPU = 8
_PR_SET_PDEATHSIG = 1  # of Linux
_SECONDS_BETWEEN_LOOKS = 0.2
_LIBC = ctypes.CDLL(None)


class Job(NamedTuple):
    """Commands to run one after the other, as long as they end well."""

    task: object  # whatever the job is for
    commands: list  # of lists of text
    console_path: object  # the Path that gets what they print


class Going(NamedTuple):
    """A job of which a command runs."""

    job: Job
    number: int  # of the command
    slot: int  # of the machine
    process: subprocess.Popen


def environments(num_at_once, num_jobs, device=None):
    """For each of the jobs at once, the environment variables that give it its share.

    On GPUs, each job sees one; on a CPU, each has an equal number of threads.

    Arguments
    ---------
    num_at_once : int or None
        None: one for each GPU or, on a CPU, for each core, up to `MAX_JOBS_ON_CPU`.
    num_jobs : int
        All that there are to do.
    device : str, optional
        What the commands run on, if that was chosen: they then see all GPUs.
    """
    gpus = [] if device else _gpus()
    cores = len(os.sched_getaffinity(0))
    if num_at_once is None:
        on_one_gpu = device and device.startswith("cuda")
        num_at_once = 1 if on_one_gpu else len(gpus) or min(cores, MAX_JOBS_ON_CPU)
    num_at_once = max(1, min(num_at_once, num_jobs))
    share = {"OMP_NUM_THREADS": str(max(1, cores // num_at_once))}
    if not gpus:
        return [share] * num_at_once
    return [share | {"CUDA_VISIBLE_DEVICES": gpus[n % len(gpus)]} for n in range(num_at_once)]


def _gpus():
    """The names of the GPUs that this process may use, for CUDA_VISIBLE_DEVICES."""
    import torch

    number = torch.cuda.device_count()
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = allowed.split(",") if allowed else map(str, range(number))
    return [name.strip() for name in names][:number]


def run_jobs(jobs, slots, signals, on_look, on_end):
    """Runs jobs, as many at once as there are slots, until all have ended or a signal came.

    After a signal, the commands get a SIGTERM, and are waited for. They also get one if this
    process is killed.

    Arguments
    ---------
    jobs : list of Job
    slots : list of dict
        From `environments`.
    signals : local.machine.signals.StopSignals
        Entered by the caller.
    on_look : callable
        Called several times a second with the tasks whose jobs are running.
    on_end : callable
        Called with a job, the exit status of its last command (of the one that failed, if any), and
        the tasks whose jobs are running.
    """
    waiting, free, going, is_stopping = list(jobs), list(range(len(slots))), [], False
    try:
        while waiting or going:
            while waiting and free and not signals.caught:
                job, slot = waiting.pop(0), free.pop(0)
                going.append(Going(job, 0, slot, _start(job, 0, slots[slot])))
            if signals.caught and not is_stopping:
                is_stopping = True  # so that each gets one signal; no other command begins
                waiting.clear()
                for one in going:
                    one.process.terminate()
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            on_look([one.job.task for one in going])
            for one in [one for one in going if one.process.poll() is not None]:
                going.remove(one)
                following = _following(one, slots, signals)
                if following:
                    going.append(following)
                else:
                    free.append(one.slot)
                    on_end(one.job, one.process.returncode, [other.job.task for other in going])
    finally:
        for one in going:
            one.process.kill()
            one.process.wait()


def _following(one, slots, signals):
    """The next command of a job, started; None if there is none, or the last one failed."""
    number = one.number + 1
    if one.process.returncode or signals.caught or number == len(one.job.commands):
        return None
    process = _start(one.job, number, slots[one.slot])
    return Going(one.job, number, one.slot, process)


def _start(job, number, environment):
    with writing(job.console_path):
        job.console_path.parent.mkdir(parents=True, exist_ok=True)
        with open(job.console_path, "a" if number else "w", encoding="utf-8") as console:
            return subprocess.Popen(
                job.commands[number],
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                # Ctrl-C is for this process, which hands on one signal.
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )


def _end_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
