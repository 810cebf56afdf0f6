"""All parts of the augmentation, in the order in which they change chunks."""

import logging

import numpy as np
import torch
from speechbrain.utils.autocast import fwd_default_precision

from local.augmentation.banks import find_kinds, folder_bank, folder_responses, speech_bank
from local.augmentation.made import coloured_noise, made_responses
from local.errors import InputError
from local.machine import processes

logger = logging.getLogger(__name__)

# Made noise: so many colours, each of at most so many samples (16 s at 16 kHz).
NUM_COLOURS = 16
COLOUR_SAMPLES = 2**18
# Which of the numbers that follow from the seed draw what.
_NOISE, _SPEECH, _ROOMS = range(3)


class Augmentation(torch.nn.Module):
    """Changes training chunks as numbers say that were drawn for each of them.

    Arguments
    ---------
    voices : local.augmentation.voices.Voices
        Chunks are cut for their speeds (see `local.data.chunks.ChunkDataset`).
    mixup, silence, reverberation, equalizer, noise, telephone, gain : Part
        Change the waveforms, in this order.
    time_masks : Part
        Changes the features.
    chunk_samples, sample_rate, train_on, normalize_over, noise_dir, rir_dir, seed
        The settings of the same names in `hparams/vgg.yaml`.

    Attributes
    ----------
    num_draws : int
        Uniform numbers that each chunk needs: one for the voice, then those of all parts.
    """

    def __init__(
        self,
        voices,
        mixup,
        silence,
        reverberation,
        equalizer,
        noise,
        telephone,
        gain,
        time_masks,
        chunk_samples=24000,
        sample_rate=16000,
        train_on="audio",
        normalize_over="chunk",
        noise_dir=None,
        rir_dir=None,
        seed=0,
    ):
        super().__init__()
        self.voices = voices
        self.mixup, self.reverberation, self.noise = mixup, reverberation, noise
        parts = [mixup, silence, reverberation, equalizer, noise, telephone, gain]
        self.waveform_parts = torch.nn.ModuleList(parts)
        self.feature_parts = torch.nn.ModuleList([time_masks])
        self._sizes = [1, *(part.num_draws for part in (*parts, *self.feature_parts))]
        self.num_draws = sum(self._sizes)
        self.chunk_samples = chunk_samples
        self.sample_rate = sample_rate
        self.train_on = train_on
        self.normalize_over = normalize_over
        self.noise_dir = noise_dir
        self.rir_dir = rir_dir
        self.seed = seed

    def prepare(self, manifest_path):
        """Reads or makes what is kept in memory, before the training; returns itself.

        Arguments
        ---------
        manifest_path : str or Path
            Of the training utterances, which babble is made of.

        Raises
        ------
        InputError
            If a folder can't be used, or the settings ask for what stored features or whole
            utterances don't allow.
        """
        if self.train_on == "features":
            self._leave_out_waveforms()
            return self
        if self.normalize_over == "utterance":
            raise InputError(
                "augment: changes chunks, and --normalize_over utterance computes the features of "
                "whole utterances: give --normalize_over chunk, or --augment False"
            )
        if not (self.noise_dir or self.noise.made):
            self.noise.probability = 0.0
        if not (self.rir_dir or self.reverberation.made):
            self.reverberation.probability = 0.0
        if self.noise.probability:
            banks = self._noise_banks(manifest_path)
            self.noise.set_banks({kind: self._tensor(bank) for kind, bank in banks.items()})
        if self.reverberation.probability:
            self.reverberation.set_responses(torch.from_numpy(self._responses()))
        return self

    def _leave_out_waveforms(self):
        names = [type(part).__name__ for part in self.waveform_parts if part.probability]
        if self.voices.changes_speed:
            names.insert(0, "speeds of Voices")
            self.voices = self.voices.without_speeds()
        if names and processes.rank() == 0:
            logger.warning(
                f"augment: {', '.join(names)} change the audio, which --train_on features doesn't "
                "read: they are left out, and only time masks and warps of voices act"
            )
        for part in self.waveform_parts:
            part.probability = 0.0

    def _noise_banks(self, manifest_path):
        rng = np.random.default_rng((self.seed, _NOISE))
        size = self.noise.minutes, self.sample_rate
        folders = find_kinds(self.noise_dir) if self.noise_dir else {}
        if not self.noise.babble_share:
            folders.pop("babble", None)
        banks = {kind: folder_bank(folder, *size, rng) for kind, folder in folders.items()}
        if not banks:
            num_samples = int(60 * self.noise.minutes * self.sample_rate / NUM_COLOURS)
            num_samples = min(COLOUR_SAMPLES, num_samples)
            banks["noise"] = coloured_noise(NUM_COLOURS, num_samples, self.sample_rate, rng)
        if self.noise.babble_share and "babble" not in banks:
            rng = np.random.default_rng((self.seed, _SPEECH))
            banks["babble"] = speech_bank(manifest_path, *size, rng)
        return banks

    def _tensor(self, bank):
        """A bank on the CPU; a short one is repeated until a chunk of noise fits in."""
        return torch.from_numpy(np.resize(bank, max(len(bank), 2 * self.chunk_samples)))

    def _responses(self):
        rooms, rng = self.reverberation, np.random.default_rng((self.seed, _ROOMS))
        size = int(rooms.num_rooms), rooms.max_seconds
        if self.rir_dir:
            return folder_responses(self.rir_dir, *size, self.sample_rate, rng)
        limits = rooms.t60_seconds, rooms.direct_db
        return made_responses(*size, *limits, self.sample_rate, rng)

    @fwd_default_precision
    def waveforms(self, waveforms, draws):
        """Chunks to changed ones.

        Arguments
        ---------
        waveforms : torch.Tensor
            (batch, samples), int16 or on its scale; longer than a chunk where one is to be made
            faster. Stored features, (batch, frames, num_mels), stay as they are.
        draws : torch.Tensor
            float64 (batch, num_draws) from 0 to below 1, on the CPU.

        Returns
        -------
        waveforms : torch.Tensor
            Floating-point (batch, chunk_samples).
        """
        if waveforms.ndim > 2:
            return waveforms
        voice, *draws = draws.split(self._sizes, dim=1)
        voices = self.voices.numbers(voice[:, 0].numpy())
        waveforms = waveforms.to(torch.get_default_dtype(), copy=True)
        waveforms = self.voices.at_speeds(waveforms, voices, self.chunk_samples)
        for part, own in zip(self.waveform_parts, draws, strict=False):
            waveforms = part(waveforms, own)
        return waveforms

    @fwd_default_precision
    def features(self, features, draws):
        """Normalised features to changed ones, in place: (batch, frames, num_mels) -> the same."""
        voice, *draws = draws.split(self._sizes, dim=1)
        features = self.voices.warped(features, self.voices.numbers(voice[:, 0].numpy()))
        for part, own in zip(self.feature_parts, draws[len(self.waveform_parts) :], strict=True):
            features = part(features, own)
        return features

    def loss(self, loss, predictions, labels, draws):
        """The loss of chunks, of which some count for two speakers.

        Arguments
        ---------
        loss : callable
            predictions, labels (batch,) and weights (batch,) -> the mean loss, as `MarginSoftmax`.
        predictions, labels
            For it.
        draws : torch.Tensor
            As for `waveforms`.
        """
        if not self.mixup.probability:
            return loss(predictions, labels)
        own_draws = draws.split(self._sizes, dim=1)[1]
        others, shares = self.mixup.targets(labels, own_draws)
        return loss(predictions, labels, shares) + loss(predictions, others, 1 - shares)
