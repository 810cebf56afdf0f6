"""FLAC files to the sample with which their last frame ends, whatever the header says."""

import functools
import os
import re

_STREAM_INFO_BYTES = 42
_TAIL_BYTES = 1 << 18
_SYNC = re.compile(rb"\xff[\xf8\xf9]")
_MIN_HEADER_BYTES, _MAX_HEADER_BYTES = 6, 16
# Sizes of a block by their code, but for those that follow in a byte or two.
_BLOCK_SIZES = {1: 192, **{code: 576 << code - 2 for code in range(2, 6)}}
_BLOCK_SIZES |= {code: 256 << code - 8 for code in range(8, 16)}
_SIZE_IN_BYTES = {6: 1, 7: 2}
_RATE_IN_BYTES = {12: 1, 13: 2, 14: 2}


def _shifted(crc):
    for _ in range(8):
        crc = crc << 1 ^ (0x107 if crc & 0x80 else 0)
    return crc


_CRC8 = bytes(map(_shifted, range(256)))


def last_sample(path):
    """How many samples (a channel) the frames of a FLAC file have; None if that can't be said."""
    with open(path, "rb") as file:
        info = file.read(_STREAM_INFO_BYTES)
        max_frame = int.from_bytes(info[15:18]) if info[:4] == b"fLaC" else 0
        # Two whole frames, at least, and tags after them.
        size = min(3 * max_frame or _TAIL_BYTES, _TAIL_BYTES)
        file.seek(-min(size, os.fstat(file.fileno()).st_size), os.SEEK_END)
        tail = file.read()
    headers = (
        _frame(tail[m.start() : m.start() + _MAX_HEADER_BYTES]) for m in _SYNC.finditer(tail)
    )
    end, sizes = None, {}  # the size of the block before the one of a number
    for is_variable, number, size in filter(None, headers):
        if number == 0:
            end = size
        elif number in sizes:  # others only look like a header
            end = size + (number if is_variable else number * sizes[number])
        sizes[number + (size if is_variable else 1)] = size
    return end


def _frame(header):
    """(is the size of blocks variable, number of the frame or first sample, samples); or None."""
    if len(header) < _MIN_HEADER_BYTES:  # what looks like one in the last bytes of a file
        return None
    size_code, rate_code = header[2] >> 4, header[2] & 15
    length = 8 - (header[4] ^ 0xFF).bit_length()  # of the number, coded like a letter of UTF-8
    number_bytes = max(1, length)
    after = 4 + number_bytes
    end = after + _SIZE_IN_BYTES.get(size_code, 0) + _RATE_IN_BYTES.get(rate_code, 0)
    if length in (1, 8) or end >= len(header) or _crc8(header[: end + 1]):
        return None
    number = header[4] & (0x7F >> length)
    for byte in header[5:after]:
        number = number << 6 | byte & 0x3F
    in_bytes = _SIZE_IN_BYTES.get(size_code)
    size = _BLOCK_SIZES.get(size_code)
    if in_bytes:
        size = int.from_bytes(header[after : after + in_bytes]) + 1
    return (bool(header[1] & 1), number, size) if size else None


def _crc8(values):
    """0 for bytes that end with the CRC of those before."""
    return functools.reduce(lambda crc, byte: _CRC8[crc ^ byte], values, 0)
