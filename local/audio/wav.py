"""WAV files to where their samples are, and what else they have, by the chunks of RIFF."""

import os
import re
import struct
from typing import NamedTuple

_FORM = struct.Struct("<4sI4s")
_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")
_FORMAT_BYTES = 40
# In RF64, which is for more than 4 GB: the size has 64 bits, and stands in the chunk "ds64".
_SIZE_IS_LONG = 0xFFFFFFFF
_MAX_CHUNKS = 1000
_NAME = re.compile(rb"[ -~]{4}")
_BLOCK_BYTES = 1 << 20
# Programs that write WAV to a pipe can't know its size: ffmpeg puts 0xffffffff, sox 0x7ffff000.
_SIZE_UNKNOWN = 0x7FFF0000
_PCM, _EXTENSIBLE = 1, 0xFFFE
_PCM_GUID = b"\1\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
# With these, another recording begins.
_NEVER_LAST = (b"RIFF", b"fmt ", b"data")
# What may stand after the last chunk: tags of other formats, and a few bytes.
_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")
_FEW_BYTES = 16


class Layout(NamedTuple):
    """The samples of a WAV file: how they are coded, and how many bytes they have."""

    coding: bytes  # the content of the chunk "fmt "
    num_bytes: int  # of the samples, as far as the file has them
    missing_bytes: int  # that the header promises and the file lacks
    extra_bytes: int  # of the file after all chunks, if they aren't tags or zeros
    is_long: bool  # RF64

    def pcm_format(self):
        """(channels, rate in Hz, bytes of all channels of a sample) of PCM; None for others.

        Also None for RF64, of whose header libsndfile demands more than what is known here.
        """
        if self.is_long:
            return None
        tag, channels, rate, byte_rate, block, bits = _FORMAT.unpack_from(self.coding)
        if tag == _EXTENSIBLE and self.coding[24:] == _PCM_GUID:
            tag = _PCM
        is_usual = bits in (8, 16, 24, 32) and block == channels * bits // 8
        return (channels, rate, block) if tag == _PCM and is_usual and block else None


def read_layout(path, size):
    """The Layout of a WAV file of a size in bytes; None for other files, or damaged ones."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        head = os.pread(descriptor, _FORM.size, 0)
        if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
            return None
        coding, long_size = b"", None
        for name, start, num_bytes in _chunks(descriptor, _FORM.size, size):
            if name == b"ds64":
                long_size = int.from_bytes(os.pread(descriptor, 8, start + 8), "little")
            if name == b"fmt ":
                if coding:
                    return None
                coding = os.pread(descriptor, min(num_bytes, _FORMAT_BYTES), start)
            if name == b"data" and len(coding) >= _FORMAT.size:
                if long_size is not None and num_bytes == _SIZE_IS_LONG:
                    num_bytes = long_size
                counts = _counts(descriptor, start, num_bytes, size)
                return Layout(coding, *counts, is_long=head[:4] == b"RF64")
        return None
    finally:
        os.close(descriptor)


def _counts(descriptor, start, num_bytes, size):
    """Bytes that are there, missing and too many, of samples from a byte on."""
    there = size - start
    if num_bytes > there:
        is_unknown = num_bytes >= _SIZE_UNKNOWN
        return there, 0 if is_unknown else num_bytes - there, 0
    end = start + num_bytes
    # A chunk of an odd size is padded to an even one, but not by all programs.
    extra = min(_extra_bytes(descriptor, end + pad, size) for pad in {0, num_bytes & 1})
    return num_bytes, 0, extra


def _chunks(descriptor, position, size):
    """Yields (name, first byte of the content, its size) of each chunk from a byte on."""
    for _ in range(_MAX_CHUNKS):
        if position + _CHUNK.size > size:
            return
        name, num_bytes = _CHUNK.unpack(os.pread(descriptor, _CHUNK.size, position))
        if not _NAME.fullmatch(name):
            return
        yield name, position + _CHUNK.size, num_bytes
        position += _CHUNK.size + num_bytes + (num_bytes & 1)


def _extra_bytes(descriptor, position, size):
    for name, start, num_bytes in _chunks(descriptor, position, size):
        if start + num_bytes > size or name in _NEVER_LAST:
            break
        position = start + num_bytes + (num_bytes & 1)
    extra = size - position
    if extra < _FEW_BYTES or os.pread(descriptor, _FEW_BYTES, position).startswith(_TAGS):
        return 0
    while block := os.pread(descriptor, _BLOCK_BYTES, position):
        if block.count(0) < len(block):
            return extra
        position += len(block)
    return 0
