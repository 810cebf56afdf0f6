"""A trained model to an ONNX file, which maps waveforms or their features to embeddings."""

import contextlib
import copy
import logging
import warnings
from unittest import mock

import numpy as np
import torch
from speechbrain.lobes.models import ECAPA_TDNN

from local.atomic import replacing
from local.errors import InputError
from local.export.drawn_voice import drawn_voice

# How far ONNX Runtime may be from torch, as a share of the largest value of an embedding.
TOLERANCE = 1e-4
# The recordings that the file is tried on.
TRIED_SECONDS = (0.02, 1.0, 3.7, 10.0)
TRIED_BATCHES = (1, 3)
KINDS = {
    "waveform": ("waveforms", "samples from -1 to 1: (batch, samples)"),
    "features": ("features", "normalised log-mel features: (batch, frames, num_mels)"),
}


class FeaturesInside(torch.nn.Module):
    """Waveforms to embeddings by operations that ONNX has.

    A convolution cuts out the frames, windows and transforms them: its kernels are the window times
    the cosines and sines of the Fourier transform. In float32 it is as exact as the FFT: log-mel
    values differ by up to 1e-4.

    Arguments
    ---------
    features : local.features.LogMel
    extractor : local.models.embedding.EmbeddingExtractor
    """

    def __init__(self, features, extractor):
        super().__init__()
        self.features = features
        self.extractor = extractor
        size = features.fft_size
        cycles = np.arange(size // 2 + 1)[:, None] * np.arange(size) % size
        angles = 2 * np.pi * cycles / size
        window = features.window.double().numpy()
        kernels = np.concatenate([window * np.cos(angles), window * np.sin(angles)])
        if features.remove_dc_offset:
            kernels -= kernels.sum(axis=1, keepdims=True) * window / window.sum()
        self.register_buffer("kernels", torch.tensor(kernels, dtype=torch.float32)[:, None])

    def forward(self, waveforms):
        """(batch, samples) from -1 to 1 -> (batch, embedding_size)."""
        features = self.features
        signal = waveforms * 32768.0
        if features.remove_dc_offset:
            signal = signal - signal[:, :1]
        previous = torch.cat([signal[:, :1], signal[:, :-1]], dim=1)
        # Not signal - preemphasis * previous: that would round on the scale of an offset.
        signal = (signal - previous) + (1 - features.preemphasis) * previous
        missing = torch.sym_max(0, features.fft_size - signal.shape[1])
        signal = torch.nn.functional.pad(signal, (0, missing))
        spectrum = torch.nn.functional.conv1d(signal[:, None], self.kernels, stride=features.hop)
        real, imaginary = spectrum.chunk(2, dim=1)
        magnitude = (real * real + imaginary * imaginary).sqrt().transpose(1, 2)
        log_mel = (magnitude @ features.filters).clamp(min=1.0).log()
        return self.extractor(features(log_mel)[0])


def write_onnx(model, path, kind="waveform", decision=None):
    """Writes a model as an ONNX file, and tries it with ONNX Runtime.

    The file takes any number of recordings of one length at once. Its output is `embeddings`,
    float32 (batch, embedding_size).

    Arguments
    ---------
    model : dict
        From `local.model_files.model_dir.load_model`; it is left as it is.
    path : str or Path
        Is written whole, and only if the file gives the embeddings of the model.
    kind : str
        "waveform": the input is `waveforms`, float32 (batch, samples) from -1 to 1 at the model's
        rate; "features": `features`, float32 (batch, frames, num_mels), normalised.
    decision : local.evaluation.decision.Decision, optional
        Goes into the metadata: threshold and, of a calibration, llr_weight and llr_offset.

    Returns
    -------
    difference : float
        The largest between embeddings of ONNX Runtime and of torch, as a share of the largest value
        of an embedding.

    Raises
    ------
    InputError
        If the file can't be written, or the difference is above `TOLERANCE`; or if the model's
        features leave out frames.
    """
    if model["features"].vad != "none":
        raise InputError(
            "onnx: this model leaves out quiet frames (vad), and ONNX files of this recipe don't: "
            "give --onnx False. What SpeechBrain loads leaves them out, too"
        )
    features = copy.deepcopy(model["features"]).cpu()
    extractor = copy.deepcopy(model["extractor"]).cpu().eval()
    network = FeaturesInside(features, extractor) if kind == "waveform" else extractor
    facts = {"sample_rate": model["sample_rate"]} | _facts(decision)
    content = _exported(network.eval(), kind, features.num_mels, facts)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
        difference = _difference(temporary, kind, features, extractor, model["sample_rate"])
        if not difference <= TOLERANCE:
            raise InputError(
                f"{path}: its embeddings differ from the model's by {difference:.1e} of their "
                f"largest value, which is more than {TOLERANCE:g}: it is not kept"
            )
    return difference


def _facts(decision):
    if decision is None:
        return {}
    facts, calibration = {"threshold": decision.threshold}, decision.calibration
    if calibration:
        facts |= {"llr_weight": calibration.weights["score"], "llr_offset": calibration.offset}
    return facts


def _exported(network, kind, num_mels, facts):
    """The file as bytes, with facts as its metadata."""
    import onnx

    name, what = KINDS[kind]
    batch, length = torch.export.Dim("batch", min=1), torch.export.Dim("length", min=1)
    example = torch.zeros(2, 8000) if kind == "waveform" else torch.zeros(2, 50, num_mels)
    with torch.no_grad(), _exportable():
        program = torch.onnx.export(
            network.to(memory_format=torch.contiguous_format),
            (example,),
            dynamo=True,
            dynamic_shapes=({0: batch, 1: length},),
            input_names=[name],
            output_names=["embeddings"],
            verbose=False,
        )
    content = program.model_proto
    # The exporter notes lines of code and the folders that they are in.
    graph = content.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        part.ClearField("metadata_props")
    content.doc_string = f"Speaker embeddings of {what}, at {facts['sample_rate']} Hz."
    onnx.helper.set_model_props(content, {key: str(fact) for key, fact in facts.items()})
    onnx.checker.check_model(content)
    return content.SerializeToString()


@contextlib.contextmanager
def _exportable():
    """No warnings of the exporter, and a mask in SpeechBrain's pooling for any batch size.

    The mask is all ones, but SpeechBrain asks for the batch size as a number to make it.
    """

    def ones(lengths, max_len, device):
        return torch.ones(lengths.shape[0], max_len, device=device)

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), mock.patch.object(ECAPA_TDNN, "length_to_mask", ones):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _difference(path, kind, features, extractor, sample_rate):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    longest, most = max(TRIED_SECONDS), max(TRIED_BATCHES)
    voices = np.stack([drawn_voice(sample_rate, longest, seed) for seed in range(most)])
    largest, differences = 0.0, []
    for seconds in TRIED_SECONDS:
        for batch_size in TRIED_BATCHES:
            waveforms = torch.from_numpy(voices[:batch_size, : int(seconds * sample_rate)])
            with torch.no_grad():
                values, _ = features(waveforms)
                ours = extractor(values).numpy()
            inputs = {"waveform": waveforms / 32768.0, "features": values}
            (theirs,) = session.run(["embeddings"], {KINDS[kind][0]: inputs[kind].numpy()})
            differences.append(np.abs(theirs - ours).max())
            largest = max(largest, np.abs(ours).max())
    # A NaN anywhere makes it NaN.
    return float(np.max(differences) / largest)
