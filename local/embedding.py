"""A manifest and a model to embeddings: each utterance once, batched by length, masked."""

from typing import NamedTuple

import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.autocast import AMPConfig, TorchAutocast
from torch.utils.data import DataLoader
from tqdm import tqdm

from local.audio import read_audio
from local.manifests import KEEP_DOLLARS
from local.training_data import pad_waveforms


class Utterances(NamedTuple):
    """A batch of whole utterances.

    Arguments
    ---------
    indices : list of int
        The rows of the manifest.
    waveforms : torch.Tensor
        int16 (batch, samples), zero behind the end of an utterance.
    lengths : torch.Tensor
        (batch,) samples.
    """

    indices: list
    waveforms: torch.Tensor
    lengths: torch.Tensor


class WholeUtterances(torch.utils.data.Dataset):
    """The utterances of a manifest, as (index, int16 (samples,)).

    Arguments
    ---------
    manifest_path : str or Path
    sample_rate : int
        In Hz.
    """

    def __init__(self, manifest_path, sample_rate):
        data = DynamicItemDataset.from_csv(
            manifest_path, replacements=KEEP_DOLLARS, col_types={"start": int, "stop": int}
        ).data
        self.rows = list(data.values())
        self.sample_rate = sample_rate

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        row = self.rows[index]
        return index, read_audio(row["wav"], row["start"], row["stop"], self.sample_rate)

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


def utterance_loader(manifest_path, sample_rate, batch_seconds, num_workers=0):
    """A data loader over all utterances of a manifest, in `batches_by_length`."""
    dataset = WholeUtterances(manifest_path, sample_rate)
    return DataLoader(
        dataset,
        batch_sampler=batches_by_length(dataset.durations(), batch_seconds),
        collate_fn=_collate,
        num_workers=num_workers,
        pin_memory=torch.cuda.is_available(),
    )


def _collate(items):
    indices, waveforms = zip(*items, strict=True)
    return Utterances(list(indices), *pad_waveforms(waveforms))


def embed_batch(features, extractor, batch, device):
    """Embeddings of a batch of Utterances: float32 (batch, embedding_size), on the device."""
    waveforms = batch.waveforms.to(device, non_blocking=True)
    lengths = batch.lengths.to(device, non_blocking=True)
    return extractor(*features(waveforms, lengths)).float()


@torch.inference_mode()
def extract_embeddings(features, extractor, loader, device="cpu", precision="fp32", progress=True):
    """Embeds all utterances of a loader.

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
        Whether to show a progress bar.

    Returns
    -------
    embeddings : torch.Tensor
        float32 (num_utterances, embedding_size), on the CPU, in the order of the manifest.
    """
    features.to(device).eval()
    extractor.to(device).eval()
    autocast = TorchAutocast(
        device_type=torch.device(device).type, dtype=AMPConfig.from_name(precision).dtype
    )
    rows = [None] * len(loader.dataset)
    with autocast:  # around the loop: it keeps the weights in the other type
        for batch in tqdm(loader, "embedding", unit=" batches", disable=not progress, leave=False):
            embeddings = embed_batch(features, extractor, batch, device).cpu()
            for index, embedding in zip(batch.indices, embeddings, strict=True):
                rows[index] = embedding
    return torch.stack(rows)
