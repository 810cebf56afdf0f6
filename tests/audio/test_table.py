import itertools
import threading
from multiprocessing.pool import ThreadPool
from types import SimpleNamespace

from corpora import write_voice

from local.audio import table as audio_table
from local.audio.table import _FILES_PER_BLOCK, _mapped

NUM_ITEMS = 3 * _FILES_PER_BLOCK + 1


def run(monkeypatch, busy_share):
    """Maps many items, with clocks that say that the processor was in use for this share.

    Returns the results, and the threads that each block ran on.
    """
    seconds = itertools.count()
    clocks = SimpleNamespace(
        perf_counter=lambda: float(next(seconds)),
        process_time=lambda: busy_share * float(next(seconds)),
    )
    monkeypatch.setattr(audio_table, "time", clocks)
    threads = [set() for _ in range(4)]
    all_here = threading.Barrier(2)

    def noting(item):
        threads[item // _FILES_PER_BLOCK].add(threading.get_ident())
        if item in pair:
            all_here.wait()
        return -item

    # These two wait for each other: only different threads get past them.
    pair = (_FILES_PER_BLOCK, 2 * _FILES_PER_BLOCK - 1) if busy_share < 0.5 else ()
    with ThreadPool(4) as pool:
        blocks = list(_mapped(noting, range(NUM_ITEMS), pool))
    return [result for block in blocks for result in block], threads


def test_items_that_wait_are_shared_out_from_the_second_block_on(monkeypatch):
    results, threads = run(monkeypatch, busy_share=0.1)
    assert results == [-item for item in range(NUM_ITEMS)]
    assert threads[0] == {threading.get_ident()}
    assert len(threads[1]) > 1


def test_items_that_compute_stay_on_one_thread(monkeypatch):
    results, threads = run(monkeypatch, busy_share=1.0)
    assert results == [-item for item in range(NUM_ITEMS)]
    assert set.union(*threads) == {threading.get_ident()}


def test_what_was_found_is_saved_on_the_way(tmp_path, monkeypatch):
    """For a run that is killed, and can't save anything at its end."""
    monkeypatch.setattr(audio_table, "_SECONDS_BETWEEN_SAVES", -1.0)
    monkeypatch.setattr(audio_table, "_FILES_PER_BLOCK", 2)
    for name in ("a", "b", "c"):
        write_voice(tmp_path / f"{name}.wav", 100, seconds=0.1)
    table = tmp_path / "table.npz"
    found = audio_table.examine_audio(["a", "b", "c"], str(tmp_path), table, progress=False)
    for _ in range(3):  # the block of the first two is done
        next(found)
    assert set(audio_table._load(table)) == {str(tmp_path / f"{name}.wav") for name in "ab"}
    found.close()
