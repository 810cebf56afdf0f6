"""The dearest kernels of a training step, by torch's profiler."""

import tempfile
from pathlib import Path

import torch
from tables import Row, Table
from torch.profiler import ProfilerActivity, profile

from subjects.gpu_training import make_loop, steps, synchronize

NUM_KERNELS = 10
NUM_STEPS = 10


def measure(options):
    """Ten steps of the network of presets/paper.yaml; on a CPU its operations."""
    is_gpu = options.device.startswith("cuda")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if is_gpu else [])]
    with tempfile.TemporaryDirectory() as name:
        loop = make_loop(Path(name), 1024, options)
        step_seconds = steps(loop, options.quick)
        with profile(activities=activities, acc_events=True) as found:
            for _ in range(1 if options.quick else NUM_STEPS):
                loop()
            synchronize(options.device)
    seconds = {}
    for event in found.key_averages():
        if (event.device_type == torch.autograd.DeviceType.CUDA) == is_gpu:
            own = event.self_device_time_total if is_gpu else event.self_cpu_time_total
            seconds[event.key] = own / 1e6 / (1 if options.quick else NUM_STEPS)
    total = sum(seconds.values())
    dearest = sorted(seconds.items(), key=lambda item: -item[1])[:NUM_KERNELS]
    rows = [Row("a step", step_seconds), Row("all kernels", total)]
    rows += [Row(f"{100 * own / total:.0f} % {name[:70]}", own) for name, own in dearest]
    return Table("The dearest kernels of a training step, K = 1024", rows)
