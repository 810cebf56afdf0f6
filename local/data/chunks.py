"""The training manifest to batches of chunks: what the data loader does."""

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset
from tqdm import tqdm

from local.audio.reading import cut_chunk
from local.data.loading import Loader
from local.data.manifest_files import place_of, read_manifest
from local.data.readers import read_chunk, read_utterance
from local.data.sampling import EndlessShuffle
from local.errors import InputError
from local.machine import processes
from local.machine.runtime import num_reading_workers


class Chunks(NamedTuple):
    """A training batch: chunks or, with `lengths` and `starts`, whole utterances.

    Lengths, starts and draws stay on the CPU, as a GPU would have to be asked for them. Chunks that
    are to be made faster are longer than others, which have zeros behind them.
    """

    waveforms: torch.Tensor  # int16 (batch, samples); or stored log-mel, (batch, frames, num_mels)
    lengths: torch.Tensor | None  # (batch,) samples (frames) of each utterance
    # float32 (batch,), where the chunk is to be cut from the features of a whole utterance: from 0,
    # the first possible place, to 1, the last.
    starts: torch.Tensor | None
    labels: torch.Tensor  # int64 (batch,)
    # float64 (batch, num_draws) from 0 to below 1, of what changes the chunks: see
    # `local.augmentation`.
    draws: torch.Tensor | None = None

    def to(self, device):
        """A copy with waveforms and labels on the device, asynchronous from pinned memory."""
        waveforms, labels = (x.to(device, non_blocking=True) for x in (self.waveforms, self.labels))
        return self._replace(waveforms=waveforms, labels=labels)


class ChunkDataset(Dataset):
    """Random chunks of the utterances of a manifest.

    Its index is (index of the utterance, draw). The draw (see `EndlessShuffle`) seeds a chunk's
    randomness, so that the chunk is the same for any number of workers, and after an interruption.
    Its items are dictionaries: samples, int16 (samples,) or (frames, num_mels); place, from 0 to 1;
    label, int; draws, float64 (num_draws,).

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
    voices : local.augmentation.voices.Voices, optional
        Of what speed each chunk will be: it is cut longer or shorter. Its label is the voice's.
    num_draws : int
        Uniform numbers that a chunk comes with; the first is for the voice.
    """

    def __init__(
        self,
        manifest_path,
        sample_rate,
        chunk_length,
        seed,
        whole=False,
        in_memory=False,
        voices=None,
        num_draws=0,
    ):
        rows = list(read_manifest(manifest_path))
        self.places = [place_of(row) for row in rows]
        self.labels = [int(row["spk_id"]) for row in rows]
        self.sample_rate = sample_rate
        self.chunk_length = chunk_length
        self.seed = seed
        self.whole = whole
        self.voices = voices
        self.num_draws = num_draws
        self.num_speakers = len(set(self.labels))
        self.in_memory = self._read_all() if in_memory else None

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index_and_draw):
        index, draw = index_and_draw
        rng = np.random.default_rng((self.seed, draw))
        draws = rng.random(self.num_draws)
        label = self.labels[index]
        place = rng.random()
        length = self.chunk_length
        if self.voices:
            voice = int(self.voices.numbers(draws[0]))
            length = self.voices.num_samples(length, voice)
            label = self.voices.label(label, voice, self.num_speakers)
        samples = self._whole(index) if self.whole else self._chunk(index, length, rng)
        return {"samples": samples, "place": place, "label": label, "draws": draws}

    def _whole(self, index):
        if self.in_memory is None:
            samples = read_utterance(*self.places[index], self.sample_rate)
        else:
            samples = self.in_memory[index]
        if len(samples) >= self.chunk_length:
            return samples
        return np.resize(samples, (self.chunk_length, *samples.shape[1:]))  # repeats them

    def _chunk(self, index, length, rng):
        if self.in_memory is None:
            return read_chunk(*self.places[index], length, rng, self.sample_rate)
        return cut_chunk(self.in_memory[index], length, rng)

    def _read_all(self):
        with ThreadPoolExecutor() as pool:
            utterances = tqdm(
                pool.map(lambda place: read_utterance(*place, self.sample_rate), self.places),
                "reading audio",
                len(self.places),
                unit=" files",
                leave=False,
                disable=processes.rank() > 0,
            )
            return list(utterances)


def training_loader(
    manifest,
    device,
    augmentation,
    log_mel,
    sample_rate,
    chunk_samples,
    batch_size,
    validate_every,
    minutes,
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
    augmentation : local.augmentation.chain.Augmentation or None
        Says of what voices chunks are, and how many numbers are drawn for each.
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
    drawn = (augmentation.voices, augmentation.num_draws) if augmentation else ()
    dataset = ChunkDataset(manifest.path, sample_rate, length, seed, whole, in_memory, *drawn)
    num_processes = processes.num_processes()
    synchronised = sync_batch_norm and device.startswith("cuda")
    own_size = processes.chunks_at_a_time(batch_size, grad_accumulation_factor, synchronised)
    one_pass = -(-len(dataset) // (own_size * num_processes * grad_accumulation_factor))
    num_batches = (validate_every or one_pass) * grad_accumulation_factor
    return Loader(
        dataset,
        batch_sampler=EndlessShuffle(
            len(dataset),
            own_size,
            num_batches,
            seed,
            minutes is not None,
            processes.rank(),
            num_processes,
        ),
        collate_fn=functools.partial(collate, whole),
        num_workers=num_reading_workers(num_workers, device, in_memory),
        pin_memory=device.startswith("cuda"),
        # Without one, the loader draws from the random state that checkpoints keep.
        generator=torch.Generator(),
    )


def collate(whole, items):
    """Items of a ChunkDataset to Chunks; `whole` as there."""
    labels = torch.tensor([item["label"] for item in items])
    draws = torch.from_numpy(np.stack([item["draws"] for item in items]))
    draws = draws if draws.shape[1] else None
    waveforms, lengths = pad_waveforms([item["samples"] for item in items])
    if not whole:
        return Chunks(waveforms, None, None, labels, draws)
    starts = torch.tensor([item["place"] for item in items], dtype=torch.float32)
    return Chunks(waveforms, lengths, starts, labels, draws)


def pad_waveforms(waveforms):
    """Pads arrays (length, ...) with zeros: a tensor (batch, longest, ...), and the lengths."""
    lengths = [len(waveform) for waveform in waveforms]
    first = waveforms[0]
    padded = np.zeros((len(waveforms), max(lengths), *first.shape[1:]), first.dtype)
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return torch.from_numpy(padded), torch.tensor(lengths)
