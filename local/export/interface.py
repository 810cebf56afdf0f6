"""Recordings to embeddings and decisions: what SpeechBrain loads of an exported directory."""

import torch
from speechbrain.inference.speaker import SpeakerRecognition


class SpeakerVerification(SpeakerRecognition):
    """SpeechBrain's SpeakerRecognition for a model of this recipe, with the model's own threshold.

    Arguments
    ---------
    modules : dict
        compute_features, embedding_model and, where it is known, the classifier of the training
        speakers.
    *args, **kwargs
        As SpeechBrain's `foreign_class` gives them.
    """

    MODULES_NEEDED = ["compute_features", "embedding_model"]
    HPARAMS_NEEDED = ["threshold"]

    def __init__(self, modules, *args, **kwargs):
        modules["embedding_model"].fold()
        super().__init__(modules, *args, **kwargs)

    def encode_batch(self, wavs, wav_lens=None, normalize=False):
        """Computes embeddings.

        Arguments
        ---------
        wavs : torch.Tensor
            (batch, samples) or (samples,), from -1 to 1, at the model's rate.
        wav_lens : torch.Tensor, optional
            (batch,) of each recording, 1 where it fills the batch. What is behind the end of a
            recording changes nothing.
        normalize : bool
            Only for compatibility: this model has no statistics to normalise embeddings with.

        Returns
        -------
        embeddings : torch.Tensor
            (batch, 1, embedding_size)
        """
        wavs = torch.atleast_2d(wavs).to(self.device).float()
        if wavs.ndim != 2:
            shape = tuple(wavs.shape)
            raise ValueError(f"waveforms must be (batch, samples), of one channel, not {shape}")
        if wav_lens is None:
            wav_lens = torch.ones(len(wavs))
        num_samples = wavs.shape[1]
        lengths = (wav_lens.to(self.device) * num_samples).round().long().clamp(1, num_samples)
        # The features are defined on the scale of 16-bit samples.
        features, num_frames = self.mods.compute_features(wavs * 32768.0, lengths)
        return self.mods.embedding_model(features, num_frames).float().unsqueeze(1)

    def verify_batch(self, wavs1, wavs2, wav1_lens=None, wav2_lens=None, threshold=None):
        """Cosines of pairs, and whether each is at least the threshold: the model's, or another.

        `verify_files` calls this with two files.
        """
        score, _ = super().verify_batch(wavs1, wavs2, wav1_lens, wav2_lens)
        return score, score >= (self.hparams.threshold if threshold is None else threshold)

    def log_likelihood_ratios(self, scores):
        """The natural-log likelihood ratios of one speaker to two, for cosines of `verify_batch`.

        Raises a ValueError if the model was exported without a calibration.
        """
        if not hasattr(self.hparams, "llr_weight"):
            raise ValueError("this model was exported without a calibration")
        return self.hparams.llr_weight * scores + self.hparams.llr_offset

    def classify_batch(self, wavs, wav_lens=None):
        """Compares with the speakers of the training.

        Returns
        -------
        cosines : torch.Tensor
            (batch, num_speakers)
        score, index : torch.Tensor
            (batch,) of the most similar speaker.
        label : list of str
            Its label.
        """
        cosines = self.mods.classifier(self.encode_batch(wavs, wav_lens).squeeze(1))
        score, index = cosines.max(dim=-1)
        self.hparams.label_encoder.ignore_len()
        return cosines, score, index, self.hparams.label_encoder.decode_torch(index)

    def classify_file(self, path, **kwargs):
        """`classify_batch` for one file."""
        return self.classify_batch(self.load_audio(path, **kwargs).unsqueeze(0))
