"""A manifest and a model to embeddings: each utterance once, batched by length, masked."""

from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from local.data.chunks import pad_waveforms
from local.data.loading import Loader
from local.data.manifest_files import place_of, read_manifest, write_manifest
from local.data.readers import read_utterance
from local.embeddings.levels import FINE, judge_level
from local.embeddings.long_recordings import embed_any_length
from local.errors import InputError
from local.machine import processes, runtime


def write_crops(manifest_path, crops_path, num_crops, crop_seconds):
    """Writes a manifest of crops, whose embeddings can be averaged to that of their utterance.

    Arguments
    ---------
    manifest_path, crops_path : str or Path
    num_crops : int
        Of each utterance, evenly from its beginning to its end; they overlap if it is short. An
        utterance that is no longer than a crop is its only crop.
    crop_seconds : float

    Returns
    -------
    counts : np.ndarray
        int (num_utterances,): the number of crops of each, in the order of the manifest.
    """
    crops, counts = [], []
    for row in read_manifest(manifest_path):
        start, stop, seconds = int(row["start"]), int(row["stop"]), float(row["duration"])
        length = min(stop - start, round(crop_seconds * (stop - start) / seconds))
        starts = np.unique(np.linspace(start, stop - length, num_crops).round().astype(int))
        counts.append(len(starts))
        for index, first in enumerate(starts.tolist()):
            place = {"start": first, "stop": first + length}
            duration = seconds * length / (stop - start)
            crops.append(row | place | {"ID": f"{row['ID']}#{index}", "duration": duration})
    write_manifest(crops_path, crops)
    return np.array(counts)


class Utterances(NamedTuple):
    """A batch of whole utterances; it is empty if none of them can be read."""

    indices: list  # of int: the rows of the manifest
    waveforms: torch.Tensor  # int16 (batch, samples), or log-mel (batch, frames, num_mels); padded
    lengths: torch.Tensor  # (batch,) samples or frames
    levels: list  # of int, see `local.embeddings.levels`
    failures: list  # of (row of the manifest, problem) of those that can't be read


class WholeUtterances(torch.utils.data.Dataset):
    """The utterances of a manifest, as (index, int16 (samples,) or log-mel (frames, num_mels)).

    Arguments
    ---------
    manifest_path : str or Path
    sample_rate : int
        In Hz.
    keep_going : bool
        Whether an utterance that can't be read gives the problem as text, in place of raising it.
    """

    def __init__(self, manifest_path, sample_rate, keep_going=False):
        rows = read_manifest(manifest_path)
        self.rows = [(*place_of(row), float(row["duration"])) for row in rows]
        self.sample_rate = sample_rate
        self.keep_going = keep_going

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        *place, _ = self.rows[index]
        try:
            return index, read_utterance(*place, self.sample_rate)
        except InputError as error:
            if not self.keep_going:
                raise
            return index, str(error)

    def durations(self):
        """Seconds of each utterance."""
        return [seconds for *_, seconds in self.rows]


def batches_by_length(durations, max_seconds):
    """Batches of utterances of about the same length, longest first, filled up to max_seconds.

    A batch costs the length of its longest utterance times its number of utterances. The longest
    come first so that a lack of memory shows at once. A longer utterance than max_seconds is alone.

    Returns
    -------
    batches : list of list of int
        Indices into durations, each once.

    Example
    -------
    >>> batches_by_length([1.0, 5.0, 2.0, 2.0], max_seconds=6.0)
    [[1], [2, 3, 0]]
    """
    batches = []
    for index in sorted(range(len(durations)), key=durations.__getitem__, reverse=True):
        if batches and (len(batches[-1]) + 1) * durations[batches[-1][0]] <= max_seconds:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def padded_seconds(batches, durations):
    """The cost of each of `batches_by_length`: its longest utterance's seconds, times its size.

    Example
    -------
    >>> padded_seconds([[1], [2, 3, 0]], durations=[1.0, 5.0, 2.0, 2.0])
    [5.0, 6.0]
    """
    return [len(batch) * durations[batch[0]] for batch in batches]


def utterance_loader(manifest_path, sample_rate, batch_seconds, num_workers=0, device="cpu"):
    """A DataLoader of Utterances, for a network on the device: this process's share of a manifest.

    The batches are those of `batches_by_length` for any number of processes, so that embeddings do
    not depend on it. An utterance that can't be read raises an InputError.
    """
    dataset = WholeUtterances(manifest_path, sample_rate)
    batches = batches_by_length(dataset.durations(), batch_seconds)
    return batch_loader(dataset, batches, num_workers, device)


def batch_loader(dataset, batches, num_workers=0, device="cpu"):
    """A DataLoader of Utterances: this process's share of batches of a WholeUtterances."""
    costs = padded_seconds(batches, dataset.durations())
    shares = processes.shares(costs, processes.num_processes())
    return Loader(
        dataset,
        batch_sampler=[batches[index] for index in shares[processes.rank()]],
        collate_fn=_collate,
        num_workers=num_workers,
        pin_memory=device.startswith("cuda"),
        # Without one, each validation would change torch's random state, which training restores.
        generator=torch.Generator(),
    )


def _collate(items):
    failures = [item for item in items if isinstance(item[1], str)]
    readable = [item for item in items if not isinstance(item[1], str)]
    if not readable:
        return Utterances([], torch.empty(0), torch.empty(0), [], failures)
    indices, waveforms = zip(*readable, strict=True)
    levels = [judge_level(values) if values.ndim == 1 else FINE for values in waveforms]
    return Utterances(list(indices), *pad_waveforms(waveforms), levels, failures)


def embed_batch(features, extractor, batch, device):
    """Embeddings of a batch of Utterances: float32 (batch, embedding_size), on the device."""
    values, num_frames = features(batch.waveforms.to(device, non_blocking=True), batch.lengths)
    return embed_any_length(extractor, values, num_frames).float()


def embed_share(features, extractor, loader, device, precision, progress, is_over=lambda: False):
    """Embeds this process's share of the utterances, and waits for the other processes.

    The arguments are as for `embed_batches`.

    Returns
    -------
    indices : list of int
        Into the manifest.
    embeddings : torch.Tensor
        float32 (len(indices), embedding_size), on the CPU.
    """
    indices, rows = [], []
    for batch, embeddings in embed_batches(
        features, extractor, loader, device, precision, progress, is_over
    ):
        indices += batch.indices
        rows.append(embeddings)
    processes.wait_for_all()
    return indices, torch.cat(rows) if rows else torch.empty(0, 0)


def embed_batches(features, extractor, loader, device, precision, progress, is_over=lambda: False):
    """Embeds the utterances of a loader.

    Arguments
    ---------
    features, extractor : torch.nn.Module
        See `LogMel` and `EmbeddingExtractor`; put on the device and in evaluation mode here.
    loader : DataLoader
        From `utterance_loader` or `batch_loader`.
    device : str
    precision : str
        "fp32", "tf32", "bf16" or "fp16" of the front end. In bf16 an embedding differs a little
        from batch to batch, as the order of summation does.
    progress : bool
        Whether the first process shows a progress bar.
    is_over : callable
        Asked before each batch; ends the loop if true.

    Yields
    ------
    batch : Utterances
    embeddings : torch.Tensor
        float32 (batch, embedding_size), on the CPU; (0, 0) if the batch is empty.
    """
    features.to(device).eval()
    extractor.to(device).eval()
    hidden = not progress or processes.rank() > 0
    autocast = runtime.autocast(precision, device)
    for batch in tqdm(loader, "embedding", unit=" batches", disable=hidden, leave=False):
        if is_over():
            break
        if not batch.indices:
            yield batch, torch.empty(0, 0)
            continue
        # Not around the loop: a generator leaves inference mode with each value that it yields, and
        # leaving it ends autocast, too.
        with torch.inference_mode(), runtime.kernels_for_any_shape(precision), autocast:
            embeddings = embed_batch(features, extractor, batch, device).cpu()
        yield batch, embeddings
