"""The training manifest to batches of chunks: what the data loader does."""

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import speechbrain as sb
import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.data_pipeline import DataPipeline
from torch.utils.data import DataLoader
from tqdm import tqdm

from local.audio.reading import cut_chunk
from local.data.manifest_files import KEEP_DOLLARS
from local.data.readers import read_chunk, read_utterance
from local.data.sampling import EndlessShuffle
from local.errors import InputError
from local.machine import processes
from local.machine.runtime import num_reading_workers
from local.machine.signals import ignore_stopping


class Chunks(NamedTuple):
    """A training batch.

    Arguments
    ---------
    waveforms : torch.Tensor
        int16 (batch, samples); or stored log-mel, (batch, frames, num_mels).
    lengths : torch.Tensor or None
        (batch,) samples (frames) of each; None where all fill the batch.
    starts : torch.Tensor or None
        float32 (batch,), where the chunk is to be cut from the features of a whole utterance:
        from 0, the first possible place, to 1, the last. None where the waveforms are the chunks.
    labels : torch.Tensor
        int64 (batch,).
    """

    waveforms: torch.Tensor
    lengths: torch.Tensor | None
    starts: torch.Tensor | None
    labels: torch.Tensor

    def to(self, device):
        """A copy on the device, asynchronous from pinned memory."""
        return Chunks(*(x if x is None else x.to(device, non_blocking=True) for x in self))


class ChunkDataset(DynamicItemDataset):
    """A dataset whose index is (index of the utterance, draw); the draw is a static item.

    The draw (see `EndlessShuffle`) seeds a chunk's randomness, so that the chunk is the same for
    any number of workers, and after an interruption.
    """

    def __init__(self, data, dynamic_items=(), output_keys=()):
        super().__init__(data)
        static_keys = [*next(iter(data.values())), "id", "draw"]
        self.pipeline = DataPipeline(static_keys, dynamic_items, output_keys)

    def __getitem__(self, place):
        index, draw = place
        data_id = self.data_ids[index]
        return self.pipeline.compute_outputs({"id": data_id, "draw": draw, **self.data[data_id]})


def chunk_dataset(manifest_path, sample_rate, chunk_length, seed, whole=False, in_memory=False):
    """A manifest to a dataset of random chunks of its utterances.

    Arguments
    ---------
    manifest_path : str or Path
        See `local.data.manifests.prepare_training`.
    sample_rate : int
        In Hz.
    chunk_length : int
        In samples, or in frames if the manifest is of stored features.
    seed : int
    whole : bool
        Gives whole utterances instead, and where the chunk is to be cut from their features. Those
        shorter than a chunk are repeated up to its length.
    in_memory : bool
        Reads everything now and keeps it: at most 2 bytes a sample.

    Returns
    -------
    dataset : ChunkDataset
        Of dictionaries: samples, int16 (samples,) or (frames, num_mels); place, from 0 to 1;
        label, int.
    """
    dataset = ChunkDataset.from_csv(
        manifest_path,
        replacements=KEEP_DOLLARS,
        col_types={"start": int, "stop": int, "spk_id": int},
    )
    audio = _read_into_memory(dataset.data, sample_rate) if in_memory else {}

    @sb.utils.data_pipeline.takes("id", "wav", "start", "stop", "draw")
    @sb.utils.data_pipeline.provides("samples", "place")
    def audio_pipeline(name, wav, start, stop, draw):
        rng = np.random.default_rng((seed, draw))
        place = rng.random()
        if whole:
            samples = audio[name] if in_memory else read_utterance(wav, start, stop, sample_rate)
            if len(samples) < chunk_length:
                samples = np.resize(samples, (chunk_length, *samples.shape[1:]))  # repeats them
        elif in_memory:
            samples = cut_chunk(audio[name], chunk_length, rng)
        else:
            samples = read_chunk(wav, start, stop, chunk_length, rng, sample_rate)
        yield samples
        yield place

    dataset.add_dynamic_item(audio_pipeline)
    dataset.set_output_keys({"samples": "samples", "place": "place", "label": "spk_id"})
    return dataset


def training_loader(
    manifest,
    device,
    log_mel,
    sample_rate,
    chunk_samples,
    batch_size,
    validate_every,
    grad_accumulation_factor,
    sync_batch_norm,
    train_on,
    normalize_over,
    max_memory_gb,
    num_workers,
    seed,
):
    """The training manifest to the data loader of random chunks.

    Arguments
    ---------
    manifest : local.data.manifests.Manifest
        Of the training utterances.
    device : str
        Of the network.
    log_mel : local.features.LogMel
        Says how many frames a chunk of stored features has.
    sample_rate, ...
        The settings of the same names in `hparams/vgg.yaml`.

    Returns
    -------
    loader : torch.utils.data.DataLoader
        Of Chunks: this process's part of each batch of an epoch.

    Raises
    ------
    InputError
        If a batch norm would see only one chunk, or normalize_over is unknown.
    """
    if normalize_over not in ("chunk", "utterance"):
        raise InputError(f"normalize_over is chunk or utterance, not {normalize_over!r}")
    whole = normalize_over == "utterance"
    num_bytes = 2 * manifest.seconds * sample_rate * processes.num_local()
    in_memory = num_bytes <= 1e9 * max_memory_gb
    length = log_mel.num_frames(chunk_samples) if train_on == "features" else chunk_samples
    dataset = chunk_dataset(manifest.path, sample_rate, length, seed, whole, in_memory)
    num_processes = processes.num_processes()
    own_size = -(-batch_size // (num_processes * grad_accumulation_factor))
    synchronised = sync_batch_norm and device.startswith("cuda")
    if own_size * (num_processes if synchronised else 1) < 2:
        raise InputError(
            f"batch_size {batch_size} leaves one chunk for a batch norm, with {num_processes} "
            f"processes and grad_accumulation_factor {grad_accumulation_factor}: it needs two"
        )
    one_pass = -(-len(dataset) // (own_size * num_processes * grad_accumulation_factor))
    num_batches = (validate_every or one_pass) * grad_accumulation_factor
    return DataLoader(
        dataset,
        batch_sampler=EndlessShuffle(
            len(dataset), own_size, num_batches, seed, processes.rank(), num_processes
        ),
        collate_fn=functools.partial(collate, whole),
        num_workers=num_reading_workers(num_workers, device, in_memory),
        worker_init_fn=ignore_stopping,
        pin_memory=torch.cuda.is_available(),
        # Without one, the loader draws from the random state that checkpoints keep.
        generator=torch.Generator(),
    )


def _read_into_memory(data, sample_rate):
    """Reads all utterances of a dataset: {ID: what `read_utterance` gives}."""

    def read(row):
        return read_utterance(row["wav"], row["start"], row["stop"], sample_rate)

    with ThreadPoolExecutor() as pool:
        samples = tqdm(
            pool.map(read, data.values()),
            "reading audio",
            len(data),
            unit=" files",
            leave=False,
            disable=processes.rank() > 0,
        )
        return dict(zip(data, samples, strict=True))


def collate(whole, items):
    """Items of a `chunk_dataset` to Chunks; `whole` as there."""
    labels = torch.tensor([item["label"] for item in items])
    if not whole:
        waveforms = torch.from_numpy(np.stack([item["samples"] for item in items]))
        return Chunks(waveforms, None, None, labels)
    waveforms, lengths = pad_waveforms([item["samples"] for item in items])
    starts = torch.tensor([item["place"] for item in items], dtype=torch.float32)
    return Chunks(waveforms, lengths, starts, labels)


def pad_waveforms(waveforms):
    """Pads arrays (length, ...) with zeros: a tensor (batch, longest, ...), and the lengths."""
    lengths = [len(waveform) for waveform in waveforms]
    first = waveforms[0]
    padded = np.zeros((len(waveforms), max(lengths), *first.shape[1:]), first.dtype)
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return torch.from_numpy(padded), torch.tensor(lengths)


def cut_features(features, num_frames, starts, chunk_frames):
    """Cuts a chunk out of the features of each utterance.

    Arguments
    ---------
    features : torch.Tensor
        (batch, frames, num_features).
    num_frames : torch.Tensor
        (batch,) of each utterance, at least chunk_frames.
    starts : torch.Tensor
        (batch,) from 0 to 1; see `Chunks`.
    chunk_frames : int

    Returns
    -------
    chunks : torch.Tensor
        (batch, chunk_frames, num_features).

    Example
    -------
    >>> features = torch.arange(6.0).view(1, 6, 1)
    >>> cut_features(features, torch.tensor([5]), torch.tensor([0.99]), chunk_frames=2).flatten()
    tensor([3., 4.])
    """
    last = num_frames - chunk_frames
    first = (starts * (last + 1)).long().clamp(max=last)
    frames = first[:, None] + torch.arange(chunk_frames, device=features.device)
    return features.gather(1, frames[:, :, None].expand(-1, -1, features.shape[2]))
