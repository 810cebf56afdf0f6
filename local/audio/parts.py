"""The name of a part of a recording, or of one channel, to what is read of the recording.

A part is written as in W3C Media Fragments, `call1#t=1.25,4.5`, in seconds; a channel as
`call1#channel=2`, counted from 1; both as `call1#t=1.25,4.5&channel=2`.
"""

import re
from typing import NamedTuple

from local.audio.checking import AudioInfo
from local.audio.finding import EXTENSIONS, find_file
from local.errors import InputError

# A time in a name.
SECONDS = r"(\d{1,7}(?:\.\d*)?|\.\d+)"
_NAME = re.compile(
    rf"(.+)#(?:t={SECONDS}(?:,{SECONDS})?(?:&channel=([1-9]\d?))?|channel=([1-9]\d?))", re.ASCII
)


class Part(NamedTuple):
    """A part of a recording: some of its time, one of its channels, or both."""

    start: str = "0"  # seconds, as they are written
    end: str | None = None  # None: the end of the recording
    channel: int = 0  # counted from 1; 0: all of them, averaged

    def name(self, recording):
        """The name of this part of a recording.

        Example
        -------
        >>> Part("1.25", "4.5").name("call1"), Part(channel=2).name("call1"), Part().name("call1")
        ('call1#t=1.25,4.5', 'call1#channel=2', 'call1')
        """
        times = [self.start, self.end] if self.end is not None else [self.start]
        fields = [] if times == [WHOLE.start] else [f"t={','.join(times)}"]
        fields += [f"channel={self.channel}"] if self.channel else []
        return f"{recording}#{'&'.join(fields)}" if fields else recording

    def cut(self, path, info):
        """The first sample of this part of a recording, and the AudioInfo of what is read.

        Arguments
        ---------
        path : str
            Of the recording, for messages.
        info : local.audio.checking.AudioInfo
            Of the whole recording.

        Raises an InputError if the recording has no such part.

        Example
        -------
        >>> Part("0.5", "2", channel=1).cut("call1.wav", AudioInfo(16000, 8000, num_channels=2))
        (4000, AudioInfo(num_samples=12000, sample_rate=8000, num_channels=1))
        """
        rate, num_samples = info.sample_rate, info.num_samples
        if self.channel > info.num_channels:
            raise InputError(f"{path} has no channel {self.channel}: it has {info.num_channels}")
        start = round(float(self.start) * rate)
        stop = num_samples if self.end is None else round(float(self.end) * rate)
        if self.end is not None and start >= stop:
            raise InputError(f"{path}: the part from {self.start} to {self.end} s has no samples")
        if max(start + 1, stop) > num_samples:
            last = self.start if start >= num_samples else self.end
            raise InputError(f"{path} ends at {num_samples / rate:g} s, before {last} s")
        num_channels = 1 if self.channel else info.num_channels
        return start, AudioInfo(stop - start, rate, num_channels)


WHOLE = Part()


def split_part(name):
    """The name of the recording, and the Part, which is WHOLE if the name says nothing of it.

    Example
    -------
    >>> split_part("a/call1.sph#t=1.25,4.5&channel=2")
    ('a/call1.sph', Part(start='1.25', end='4.5', channel=2))
    >>> split_part("call#1")
    ('call#1', Part(start='0', end=None, channel=0))
    """
    match = _NAME.fullmatch(name) if "#" in name else None
    if match is None:
        return name, WHOLE
    recording, start, end, channel, only_channel = match.groups()
    return recording, Part(start or "0", end, int(channel or only_channel or 0))


def find_part(data_dir, name, extensions=EXTENSIONS):
    """Looks up the recording of a name, as `local.audio.finding.find_file` does.

    A file that has such a name itself is taken where there is no recording of which it would be a
    part. Features of a part are always in a file of their own.

    Returns
    -------
    found : (str, os.stat_result, Part) or None
        The path of the recording, what the system says of it, and the part.
    """
    if "#" in name and extensions is EXTENSIONS:
        recording, part = split_part(name)
        found = find_file(data_dir, recording)
        if found:
            return *found, part
    found = find_file(data_dir, name, extensions)
    return found and (*found, WHOLE)
