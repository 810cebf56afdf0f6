"""A training that runs out of memory to a message that says what to change."""

import contextlib

from local.errors import InputError
from local.machine import processes
from local.machine.memory import what_was_tried

VALIDATION_ADVICE = (
    'The validation embeds as much audio at a time as fits into a batch: --valid_loader "{'
    'batch_seconds: 30}" halves the 60 seconds of the default. The results stay the same.'
)


@contextlib.contextmanager
def explained(advice):
    """Around what may run out of memory; `advice()` says what to do then.

    Raises
    ------
    InputError
        With what was tried and the advice.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch's OutOfMemoryError is one of the latter
        tried = what_was_tried(error)
        if tried is None:
            raise
        raise InputError(f"Out of memory: {tried}.\n{advice()}") from error


def training_advice(batch_size, num_parts, synchronised=False):
    """What to do if an update of batch_size chunks in num_parts takes too much memory.

    The arguments are those of `local.machine.processes.chunks_at_a_time`.

    Example
    -------
    >>> print(training_advice(batch_size=64, num_parts=1))
    64 chunks were computed at a time: --grad_accumulation_factor 2 makes that 32, and halves what
    they take. An update is of the same 64 chunks, and the same but for batch norm, which sees those
    of one part. The same command with it goes on from the last checkpoint. What a training takes,
    --dry_run says in advance.
    >>> print(training_advice(batch_size=2, num_parts=1))
    2 chunks were computed at a time, and batch norm needs two. Shorter chunks (--chunk_samples) or
    a smaller network (--width) take less; --dry_run says how much.
    """
    now = processes.chunks_at_a_time(batch_size, num_parts, synchronised)
    try:
        then = processes.chunks_at_a_time(batch_size, 2 * num_parts, synchronised)
    except InputError:
        return (
            f"{now} chunks were computed at a time, and batch norm needs two. Shorter chunks "
            "(--chunk_samples) or\na smaller network (--width) take less; --dry_run says how much."
        )
    chunks = processes.num_processes() * num_parts * now
    chunks_then = processes.num_processes() * 2 * num_parts * then
    size = f"the same {chunks}" if chunks == chunks_then else f"{chunks_then}, before {chunks},"
    return (
        f"{now} chunks were computed at a time: --grad_accumulation_factor {2 * num_parts} makes "
        f"that {then}, and halves what\nthey take. An update is of {size} chunks, and the same but "
        "for batch norm, which sees those\nof one part. The same command with it goes on from the "
        "last checkpoint. What a training takes,\n--dry_run says in advance."
    )
