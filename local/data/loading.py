"""A dataset to batches by worker processes, whose problems end the run with one message."""

import contextlib
import functools
import os

from torch import is_tensor
from torch.utils.data import DataLoader, get_worker_info

from local.errors import InputError
from local.machine.signals import ignore_stopping

SHARED_MEMORY = "/dev/shm"


class Loader(DataLoader):
    """torch's DataLoader.

    torch hands batches from worker to training process in shared memory, of which containers often
    have 64 MB. What does not fit there is lost, and the training process waits for it for ever.
    Here the worker puts it there itself, and what fails ends the loop.

    Arguments
    ---------
    dataset : torch.utils.data.Dataset
    collate_fn : callable
        A list of items to a batch, a tuple.
    options
        As for DataLoader.
    """

    def __init__(self, dataset, collate_fn, **options):
        collate_fn = functools.partial(_shared_batch, collate_fn)
        super().__init__(dataset, collate_fn=collate_fn, worker_init_fn=ignore_stopping, **options)

    def __iter__(self):
        """The batches; raises an InputError where one can't be read, or a worker has ended."""
        batches = super().__iter__()
        try:
            yield from batches
        except InputError as error:
            # A worker's comes with its traceback.
            mark = f"{InputError.__module__}.{InputError.__qualname__}: "
            raise InputError(str(error).rpartition(mark)[2].strip()) from error
        except (RuntimeError, ConnectionError) as error:
            is_lost = isinstance(error, ConnectionError) or "DataLoader worker (" in str(error)
            if not is_lost:
                raise
            raise InputError(
                f"A process that reads audio has ended, perhaps for lack of memory: give fewer of "
                f"them (--num_workers 0: none). {error}"
            ) from error
        finally:
            # They ignore SIGTERM, and the traceback keeps alive what would end them.
            if hasattr(batches, "_shutdown_workers"):
                with contextlib.suppress(RuntimeError):  # that one has ended
                    batches._shutdown_workers()


def _shared_batch(collate, items):
    batch = collate(items)
    if get_worker_info() is None:
        return batch
    try:
        for value in filter(is_tensor, batch):
            value.share_memory_()
    except RuntimeError as error:
        raise InputError(
            f"{SHARED_MEMORY}: too small for the batches of {get_worker_info().num_workers} "
            f"worker processes ({_megabytes(SHARED_MEMORY)} MB in all). Give fewer "
            "(--num_workers 0: none), smaller batches, or more shared memory (docker run "
            "--shm-size 8g)"
        ) from error
    return batch


def _megabytes(folder):
    system = os.statvfs(folder)
    return system.f_blocks * system.f_frsize // 2**20
