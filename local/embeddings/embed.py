"""A manifest and a model to embeddings: each utterance once, batched by length, masked."""

from typing import NamedTuple

import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.autocast import AMPConfig, TorchAutocast
from torch.utils.data import DataLoader
from tqdm import tqdm

from local.data.chunks import pad_waveforms
from local.data.manifest_files import KEEP_DOLLARS
from local.data.readers import read_utterance
from local.embeddings.long_recordings import MAX_FRAMES, embed_by_parts
from local.errors import InputError
from local.machine import processes
from local.machine.signals import ignore_stopping


class Utterances(NamedTuple):
    """A batch of whole utterances; it may be empty, where none could be read.

    Arguments
    ---------
    indices : list of int
        The rows of the manifest.
    waveforms : torch.Tensor
        int16 (batch, samples), or log-mel (batch, frames, num_mels); zero behind the end of an
        utterance.
    lengths : torch.Tensor
        (batch,) samples or frames.
    failures : list of tuple
        (row of the manifest, problem) of those that could not be read.
    """

    indices: list
    waveforms: torch.Tensor
    lengths: torch.Tensor
    failures: list


class WholeUtterances(torch.utils.data.Dataset):
    """The utterances of a manifest, as (index, int16 (samples,) or log-mel (frames, num_mels)).

    Arguments
    ---------
    manifest_path : str or Path
    sample_rate : int
        In Hz.
    keep_going : bool
        Gives the problem of an utterance that can't be read, as text, in place of raising it.
    """

    def __init__(self, manifest_path, sample_rate, keep_going=False):
        data = DynamicItemDataset.from_csv(
            manifest_path, replacements=KEEP_DOLLARS, col_types={"start": int, "stop": int}
        ).data
        self.rows = list(data.values())
        self.sample_rate = sample_rate
        self.keep_going = keep_going

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        row = self.rows[index]
        try:
            return index, read_utterance(row["wav"], row["start"], row["stop"], self.sample_rate)
        except InputError as error:
            if not self.keep_going:
                raise
            return index, str(error)

    def durations(self):
        """Seconds of each utterance."""
        return [row["duration"] for row in self.rows]


def batches_by_length(durations, max_seconds):
    """Batches of utterances of about the same length, longest first, filled up to max_seconds.

    A batch costs what its longest utterance does, times their number. The longest come first: if
    memory does not suffice, it shows at once. An utterance of more than max_seconds is alone.

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
    """What each of `batches_by_length` costs: its longest utterance's seconds, times their number.

    Example
    -------
    >>> padded_seconds([[1], [2, 3, 0]], durations=[1.0, 5.0, 2.0, 2.0])
    [5.0, 6.0]
    """
    return [len(batch) * durations[batch[0]] for batch in batches]


def utterance_loader(manifest_path, sample_rate, batch_seconds, num_workers=0, keep_going=False):
    """A data loader over this process's share of the utterances of a manifest.

    The batches are those of `batches_by_length` for any number of processes: what an utterance is
    embedded with does not depend on it.
    """
    dataset = WholeUtterances(manifest_path, sample_rate, keep_going)
    durations = dataset.durations()
    batches = batches_by_length(durations, batch_seconds)
    shares = processes.shares(padded_seconds(batches, durations), processes.num_processes())
    own = shares[processes.rank()]
    return DataLoader(
        dataset,
        batch_sampler=[batches[index] for index in own],
        collate_fn=_collate,
        num_workers=num_workers,
        worker_init_fn=ignore_stopping,
        pin_memory=torch.cuda.is_available(),
        # Of its own: a random state that is kept must not depend on how often one validates.
        generator=torch.Generator(),
    )


def _collate(items):
    failures = [item for item in items if isinstance(item[1], str)]
    sound = [item for item in items if not isinstance(item[1], str)]
    if not sound:
        return Utterances([], torch.empty(0), torch.empty(0), failures)
    indices, waveforms = zip(*sound, strict=True)
    return Utterances(list(indices), *pad_waveforms(waveforms), failures)


def embed_batch(features, extractor, batch, device):
    """Embeddings of a batch of Utterances: float32 (batch, embedding_size), on the device."""
    waveforms = batch.waveforms.to(device, non_blocking=True)
    lengths = batch.lengths.to(device, non_blocking=True)
    values, num_frames = features(waveforms, lengths)
    if values.shape[1] > MAX_FRAMES:
        return embed_by_parts(extractor, values, num_frames, MAX_FRAMES).float()
    return extractor(values, num_frames).float()


def extract_embeddings(features, extractor, loader, device="cpu", precision="fp32", progress=True):
    """Embeds all utterances of a manifest, each in one of the processes.

    Arguments
    ---------
    features, extractor : torch.nn.Module
        See `LogMel` and `EmbeddingExtractor`; put on the device and in evaluation mode here.
    loader : DataLoader
        From `utterance_loader`.
    device : str
    precision : str
        "fp32" or "bf16" of the front end. In bf16 an embedding differs a little from batch to
        batch, as the order of summation does.
    progress : bool
        Whether the first process shows a progress bar.

    Returns
    -------
    embeddings : torch.Tensor or None
        float32 (num_utterances, embedding_size), on the CPU, in the order of the manifest, in the
        first process; None in the others.
    """
    share = embed_share(features, extractor, loader, device, precision, progress)
    return processes.gather_rows(*share, len(loader.dataset), device)


def _nothing(batch):
    """After a batch."""


@torch.inference_mode()
def embed_share(
    features,
    extractor,
    loader,
    device,
    precision,
    progress,
    is_over=lambda: False,
    after_batch=_nothing,
):
    """Embeds this process's share; see `extract_embeddings`.

    Arguments
    ---------
    is_over : callable
        Asked before each batch; ends it early if true.
    after_batch : callable
        Called with each batch of Utterances once it is embedded.

    Returns
    -------
    indices : list of int
        Into the manifest.
    embeddings : torch.Tensor
        float32 (len(indices), embedding_size), on the CPU.
    """
    features.to(device).eval()
    extractor.to(device).eval()
    autocast = TorchAutocast(
        device_type=torch.device(device).type, dtype=AMPConfig.from_name(precision).dtype
    )
    indices, rows = [], []
    hidden = not progress or processes.rank() > 0
    with autocast:  # around the loop: it keeps the weights in the other type
        for batch in tqdm(loader, "embedding", unit=" batches", disable=hidden, leave=False):
            if is_over():
                break
            if batch.indices:
                rows.append(embed_batch(features, extractor, batch, device).cpu())
                indices += batch.indices
            after_batch(batch)
    return indices, torch.cat(rows) if rows else torch.empty(0, 0)
