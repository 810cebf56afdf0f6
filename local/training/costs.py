"""The settings of a training to what it takes: operations, memory, disk. For --dry_run."""

import inspect

import torch

from local.machine import processes, runtime
from local.models.size import num_macs, num_parameters
from local.models.step_memory import StepMemory, step_memory
from local.training.schedules import chosen

# Of a forward and a backward pass, which computes gradients of both inputs and weights; each
# multiplication has an addition.
_OPERATIONS_PER_MAC = 2 * 3
# Checkpoints, and models: three that are kept, and one that is being written.
_MOST_FILES = 4


def describe_costs(
    num_classes,
    device,
    log_mel,
    extractor,
    classifier,
    loss,
    optimizers,
    optimizer,
    chunk_samples,
    batch_size,
    grad_accumulation_factor,
    average_decay,
    precision,
):
    """What a training takes, as lines of text; nothing of it is computed.

    Arguments
    ---------
    num_classes : int
        Speakers that the classifier tells apart.
    device : str
    log_mel, ...
        The `SETTINGS` of the same names in `hparams/vgg.yaml`.

    Raises
    ------
    InputError
        If a batch norm would see only one chunk, or there is no such optimizer.
    """
    num_frames = log_mel.num_frames(chunk_samples)
    precision = runtime.precision(precision, device)
    num_chunks = processes.chunks_at_a_time(batch_size, grad_accumulation_factor)
    classifier = classifier(num_speakers=num_classes)
    macs = num_macs(extractor, num_frames, log_mel.num_mels) + num_parameters(classifier)
    memory = step_memory(
        extractor,
        classifier,
        loss,
        chosen("optimizer", optimizer, optimizers),
        (num_chunks, num_frames, log_mel.num_mels),
        runtime.autocast_dtype(precision),
        grad_accumulation_factor,
        average=average_decay > 0,
    )
    weights = sum(tensor.nbytes for tensor in extractor.state_dict().values())
    model = weights + num_parameters(classifier) * 4 + memory.optimizer
    checkpoint = memory.weights + memory.optimizer
    rows = [
        ("parameters", f"{num_parameters(extractor):,} of the extractor"),
        ("", f"{num_parameters(classifier):,} of the classifier, {num_classes:,} classes"),
        ("operations", f"{_short(macs)} multiplications for a chunk of {num_frames} frames"),
        ("", f"{_short(_OPERATIONS_PER_MAC * macs * batch_size)} for an update of {batch_size}"),
        (f"memory, {precision}", f"{_gigabytes(memory.highest)} at the highest of a step"),
        *_memory_rows(memory, num_chunks, average_decay > 0),
        *_device_rows(device),
        ("disk", f"{_gigabytes(_MOST_FILES * (checkpoint + model))}, with {_MOST_FILES} of each"),
        ("  a checkpoint", _gigabytes(checkpoint)),
        ("  a model", _gigabytes(model)),
    ]
    return "\n".join(f"{name:<16}{text}" for name, text in rows)


SETTINGS = tuple(inspect.signature(describe_costs).parameters)[2:]


def _memory_rows(memory, num_chunks, has_average):
    notes = StepMemory(
        weights=" with their moving average" if has_average else "",
        gradients="",
        optimizer="",
        activations=f" of {num_chunks} chunks at a time",
        highest="",
    )
    for name in ("weights", "gradients", "optimizer", "activations"):
        yield f"  {name}", f"{_gigabytes(getattr(memory, name))}{getattr(notes, name)}"


def _device_rows(device):
    if device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(device)
        yield "  to be had", f"{_gigabytes(properties.total_memory)}: {properties.name}"


def _gigabytes(num_bytes):
    return f"{num_bytes / 1e9:.3g} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.3g} MB"


def _short(number):
    """45300000000.0 -> "45.3 billion"."""
    for name, factor in (("trillion", 1e12), ("billion", 1e9)):
        if number >= factor:
            return f"{number / factor:.3g} {name}"
    return f"{number / 1e6:.3g} million"
