"""On a GPU, as far as a machine without one can tell: devices, waits, what is saved."""

import runpy
import zipfile
from functools import partial
from pathlib import Path

import pytest
import torch
from corpora import EVERY_AUGMENTATION, TINY, as_arguments, write_corpus
from pretended_gpu import DEVICE, PretendedGpu, without_backward
from speechbrain import Stage
from speechbrain.augment.freq_domain import SpectrogramDrop
from torch._subclasses.fake_tensor import DynamicOutputShapeException
from torch.utils._pytree import tree_leaves
from torch.utils.data._utils.pin_memory import pin_memory

from local.augmentation import voices
from local.embeddings import embed, long_recordings
from local.features.log_mel import LogMel
from local.machine import processes
from local.models.embedding import EmbeddingExtractor, EmbeddingHead
from local.models.ensemble import Ensemble
from local.models.front_ends import FRONT_ENDS, make_front_end
from local.models.padding import beside
from local.models.pooling import make_pooling

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true"),
    # Of what copies a module, as it has no memory.
    pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor"),
]
WHOLE = {"normalize_over": "utterance", "augment": False, "normalization": "cmvn"}
# Where a training step waits for the GPU, and why.
LOSS = "local/training/late_means.py: LateMeans.finish, 1 later"  # read when the next is queued
SPEED = "local/augmentation/voices.py: _resampler"  # copies the filter of a speed, once in a run
LOUD = "local/features/log_mel.py: LogMel.forward"  # only the GPU knows which frames are loud
STEPS = {
    "everything": (EVERY_AUGMENTATION | {"head_drop": 0.5}, {LOSS, SPEED}),
    "bf16": (
        {"precision": "auto", "optimizer": "sgd", "classifier": "{num_centres: 2}"}
        | {"loss": "{top_k: 5}"},
        {LOSS, SPEED},
    ),
    "whole utterances": (WHOLE | {"grad_accumulation_factor": 2}, {LOSS}),
    "their loud frames": (WHOLE | {"vad": "energy"}, {LOSS, LOUD}),
    "resnet34": (
        {"front_end": "resnet34", "precision": "tf32", "average_decay": 0},
        {LOSS, SPEED},
    ),
    "ecapa": ({"front_end": "ecapa", "pooling": "attentive_statistics"}, {LOSS, SPEED}),
}
RESULT = "local/embeddings/embed.py: embed_batches"  # embeddings are wanted on the CPU


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"), seconds=0.6)


@pytest.fixture
def gpu(monkeypatch):
    voices._resampler.cache_clear()
    yield PretendedGpu(monkeypatch)
    voices._resampler.cache_clear()


def brain_on_gpu(monkeypatch, settings):
    """A Brain that is ready for its first step, and its training loader."""
    script = runpy.run_path(str(ROOT / "recipes" / "train_vgg.py"))
    settings = TINY | {"device": DEVICE, "num_workers": 0, "chunk_samples": 4000} | settings
    arguments = [str(ROOT / "hparams" / "vgg.yaml"), *as_arguments(settings)]
    yaml_path, hparams, run_opts, overrides = script["command_line"].load_hparams(arguments)
    run_opts = processes.join_processes(run_opts)
    brain, loader, _ = script["set_up"](yaml_path, hparams, run_opts, overrides)
    monkeypatch.setattr(torch.Tensor, "backward", without_backward(brain))
    brain.on_fit_start()
    brain.on_stage_start(Stage.TRAIN)
    brain.modules.train()
    return brain, loader


def take_steps(brain, loader, num_steps=2):
    """The loader pins nothing here, as there is no GPU."""
    assert loader.pin_memory
    for batch in (list(loader) * num_steps)[:num_steps]:
        brain.step += 1
        brain.fit_batch(pin_memory(batch))


@pytest.mark.parametrize("name", STEPS)
def test_a_training_step_waits_only_where_it_must(
    gpu, kernels, corpus, tmp_path, monkeypatch, name
):
    settings, expected = STEPS[name]
    with gpu:
        brain, loader = brain_on_gpu(monkeypatch, corpus | settings | {"out_dir": tmp_path})
        gpu.waits.clear()
        take_steps(brain, loader)
    assert set(gpu.waits) == expected and gpu.waits.count(LOSS) == 1
    precision = settings.get("precision", "fp32")
    assert kernels() == (False, precision == "tf32", True)
    assert brain.hparams.valid_precision == {"auto": "bf16"}.get(precision, precision)


def test_saved_tensors_are_on_the_cpu(gpu, kernels, corpus, tmp_path, monkeypatch):
    with gpu:
        brain, loader = brain_on_gpu(monkeypatch, corpus | {"out_dir": tmp_path})
        take_steps(brain, loader)
        brain.on_stage_end(Stage.TRAIN, None, 1)
        brain._save_best({"eer_percent": 1.0, "threshold": 0.0, "epoch": 1})
        brain.checkpointer.save_and_clear_up({}, end_of_epoch=True)
    files = [*tmp_path.glob("model_*.pt"), *tmp_path.glob("save/*/*.ckpt")]
    loaded = {path.stem: torch.load(path, weights_only=True) for path in files if is_torch(path)}
    assert {"extractor", "classifier", "average", "optimizer"} < loaded.keys()
    tensors = list(filter(torch.is_tensor, tree_leaves(loaded)))
    assert len(tensors) > 100 and all(tensor.is_cpu for tensor in tensors)
    assert brain.train_stats == {"train_loss": 1.0, "accuracy": 1.0}  # all that is read is 1


def is_torch(path):
    return zipfile.is_zipfile(path)


@pytest.mark.parametrize(
    "name, vad",
    [
        *((name, "none") for name in [*FRONT_ENDS, "vgg+ecapa"]),
        ("vgg", "energy"),
        ("ecapa", "energy"),
    ],
)
def test_evaluation_mixes_no_devices(gpu, kernels, monkeypatch, name, vad):
    monkeypatch.setattr(long_recordings, "MAX_FRAMES", 40)  # of 54: computed in parts, if it can be
    pooling = "attentive_statistics" if name == "ecapa" else "double_multi_head"
    members = {
        member: EmbeddingExtractor(
            make_front_end(member, width=16),
            partial(make_pooling, name=pooling, num_heads=4),
            partial(EmbeddingHead, embedding_size=8),
        )
        for member in name.split("+")
    }
    extractor = Ensemble(**members) if len(members) > 1 else members[name]
    features = LogMel(normalization="cmvn", vad=vad)
    waveforms, lengths = torch.ones(3, 9000, dtype=torch.int16), torch.tensor([9000, 7000, 400])
    batch = embed.Utterances([0, 1, 2], waveforms, lengths, [0, 0, 0], [])
    kernels_before = kernels()
    with gpu:
        loader = [pin_memory(batch)]
        features.to(DEVICE), extractor.to(DEVICE)
        gpu.waits.clear()
        indices, rows = embed.embed_share(features, extractor, loader, DEVICE, "bf16", False)
    assert indices == [0, 1, 2] and rows.shape == (3, 8 * len(members))
    assert gpu.waits == ([LOUD, RESULT] if vad == "energy" else [RESULT])
    assert kernels() == (False, *kernels_before[1:])


def test_what_waits_is_seen(gpu):
    with gpu:
        features = torch.ones(4, 50, 80, device=DEVICE)
        SpectrogramDrop(0, 21, 1, 1, dim=2)(features)
        assert gpu.waits == ["tests"]  # it ends after the first, as what is read is 1
        gpu.waits.clear()
        values = torch.ones(2)
        values.to(DEVICE), values.pin_memory().to(DEVICE), values.to(DEVICE, non_blocking=True)
        torch.tensor([1.0, 2.0], device=DEVICE), features.cpu(), features[0, 0, 0].item()
        assert len(gpu.waits) == 6
        beside(values, features), features.to("cpu", non_blocking=True), 2 * features
        assert len(gpu.waits) == 6
        with pytest.raises(AssertionError, match=r"aten.add.Tensor of tensors on CPU and GPU"):
            features[0, :, :2] + values
        with pytest.raises(AssertionError, match="on CPU and GPU"):
            features[torch.tensor([0, 1])]
        with pytest.raises(DynamicOutputShapeException):
            features.nonzero()
