"""How fast training is: utterances a second, the time spent on waiting, the share of the peak."""

import contextlib
import copy
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

# For each product of the forward pass, the backward pass has two: for the inputs and the weights.
TRAINING_PASSES = 3
# Large enough for the peak, small enough for a fraction of a second.
MATRIX_SIZES = {"cuda": 8192, "cpu": 2048}
_NUM_PRODUCTS = 20


class Speedometer:
    """What an epoch trained on in what time, and how much of it lay between the steps.

    Arguments
    ---------
    seconds_each : float
        Of audio in an utterance, or the chunk of it that is trained on.
    peak_utterances : float, optional
        How many a second the device's peak would allow; see `peak_utterances`.
    num_processes : int
        That do the same at the same time.

    Example
    -------
    >>> speed = Speedometer(seconds_each=1.5)
    >>> speed.start_epoch()
    >>> with speed.step(num_utterances=64):
    ...     time.sleep(0.01)
    >>> 0 < speed.utterances_per_second < 6400
    True
    """

    def __init__(self, seconds_each, peak_utterances=None, num_processes=1):
        self.seconds_each = seconds_each
        self.num_processes = num_processes
        self.peak_utterances = peak_utterances
        self.start_epoch()

    def start_epoch(self):
        """Forgets the last epoch."""
        self._num_utterances = 0
        self._seconds_in_steps = 0.0
        self._first = self._last = time.perf_counter()

    @contextlib.contextmanager
    def step(self, num_utterances):
        """Around each step of this process, up to where its result is on the CPU."""
        begin = time.perf_counter()
        yield
        self._last = time.perf_counter()
        self._num_utterances += num_utterances * self.num_processes
        self._seconds_in_steps += self._last - begin

    @property
    def utterances_per_second(self):
        """From the start of the epoch to the end of its last step."""
        return self._num_utterances / max(self._last - self._first, 1e-9)

    @property
    def waiting_share(self):
        """The share of the time between the steps: waiting for data, and the first of it."""
        elapsed = self._last - self._first
        return 1.0 - self._seconds_in_steps / elapsed if elapsed else 0.0

    def __str__(self):
        hours = self.utterances_per_second * self.seconds_each / 3600
        text = (
            f"{self.utterances_per_second:.4g} utterances a second, {hours:.3g} hours of audio "
            f"a second, {100 * self.waiting_share:.1f} % of the time waiting for data"
        )
        if self.peak_utterances:
            share = self.utterances_per_second / (self.peak_utterances * self.num_processes)
            text += f", {100 * share:.0f} % of the bf16 peak"
        return text


def forward_flops(extractor, num_frames, num_features):
    """Floating-point operations of embedding one utterance; two for each multiplication.

    Example
    -------
    >>> forward_flops(torch.nn.Linear(80, 10), num_frames=3, num_features=80)
    4800
    """
    # Of a copy: training would change the batch norms' statistics.
    copied = copy.deepcopy(extractor).eval()
    device = next(copied.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        copied(torch.zeros(1, num_frames, num_features, device=device))
    return counter.get_total_flops()


def bf16_peak_flops(device):
    """Operations a second of large bf16 matrix products, measured now.

    Convolutions can't be faster.
    """
    size = MATRIX_SIZES[torch.device(device).type]
    left, right = torch.randn(2, size, size, device=device).bfloat16()
    _multiply(left, right, times=2)
    start = time.perf_counter()
    _multiply(left, right, _NUM_PRODUCTS)
    return _NUM_PRODUCTS * 2 * size**3 / (time.perf_counter() - start)


def _multiply(left, right, times):
    for _ in range(times):
        left @ right
    if left.is_cuda:
        torch.cuda.synchronize(left.device)


def peak_utterances(extractor, num_frames, num_features, device):
    """Utterances a second that a GPU could be trained on at its bf16 peak; None on a CPU."""
    if torch.device(device).type != "cuda":
        return None
    flops = TRAINING_PASSES * forward_flops(extractor, num_frames, num_features)
    return bf16_peak_flops(device) / flops
