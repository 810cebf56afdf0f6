"""Calls in a process of their own: its threads and memory are nobody else's."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor


def apart(function, *arguments):
    """What a function of a module returns, called in a new process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()
