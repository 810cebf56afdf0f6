"""The commonest audio file, one channel of 16-bit PCM in WAV, opened by the standard library.

soundfile takes three times as long, and hinders other threads: it hands Python's lock back and
forth several times a file.
"""

import os
import wave

import numpy as np

_SAMPLE = np.dtype("<i2")


class PcmWav:
    """An open file, with what the recipe uses of `soundfile.SoundFile`. Made by `PcmWav.open`.

    Example
    -------
    >>> import tempfile, soundfile
    >>> path = tempfile.mkdtemp() + "/a.wav"
    >>> soundfile.write(path, np.arange(5, dtype=np.int16), 16000)
    >>> with PcmWav.open(path) as file:
    ...     file.seek(3)
    ...     file.samplerate, file.read(2).tolist()
    (16000, [3, 4])
    """

    subtype = "PCM_16"
    channels = 1

    def __init__(self, file, start, frames, samplerate):
        self.name = file.name
        self.frames = frames
        self.samplerate = samplerate
        self._file = file
        self._start = start  # of the samples, in bytes
        self._position = 0

    @classmethod
    def open(cls, path):
        """The open file; None if it is missing, cut, or anything else than such a WAV file."""
        if not os.fspath(path).lower().endswith(".wav"):
            return None
        try:
            file = open(path, "rb")
        except OSError:
            return None
        opened = cls._from_header(file)
        if opened is None:
            file.close()
        return opened

    @classmethod
    def _from_header(cls, file):
        try:
            header = wave.open(file)
            # The header was read up to the first sample.
            start, size = file.tell(), os.fstat(file.fileno()).st_size
        except (wave.Error, EOFError, RuntimeError, OSError):
            return None
        frames = header.getnframes()
        is_plain = header.getnchannels() == 1 and header.getsampwidth() == _SAMPLE.itemsize
        if not is_plain or not 0 < frames * _SAMPLE.itemsize <= size - start:
            return None
        return cls(file, start, frames, header.getframerate())

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()

    def seek(self, frame):
        """Goes to a sample."""
        self._position = min(frame, self.frames)
        self._file.seek(self._start + self._position * _SAMPLE.itemsize)

    def read(self, frames, dtype="int16"):
        """The next samples, fewer at the end of the file: int16 (frames,)."""
        del dtype  # of SoundFile, which converts
        samples = np.empty(min(frames, self.frames - self._position), _SAMPLE)
        num_bytes = self._file.readinto(samples)
        self._position += num_bytes // _SAMPLE.itemsize
        return samples[: num_bytes // _SAMPLE.itemsize]
