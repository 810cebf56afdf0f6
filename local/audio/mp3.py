"""MP3 files to the frames that they have.

libsndfile believes the number of frames that an encoder notes in the first one (Xing). Without it,
it guesses the length from the size of the file; of a variable bit rate, the guess may be half. And
samples beyond that length it does not give.
"""

import functools
import os
import re
from itertools import product
from typing import NamedTuple

# By the two bits of the version: MPEG 2.5, 2 and 1.
_SAMPLE_RATES = {0: (11025, 12000, 8000), 2: (22050, 24000, 16000), 3: (44100, 48000, 32000)}
# In kbit/s, by (is it MPEG 1, the two bits of the layer); 1 is layer III, 2 is layer II.
_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_BIT_RATES = {
    (True, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (False, 1): _LOW,
    (False, 2): _LOW,
}
# The first bytes of a frame of layer II or III, without the last of its header.
_HEADER = re.compile(rb"\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd][\x10-\xef]")
_HEADER_BYTES = 3
# So many frames in a row are no accident.
_FRAMES_IN_A_ROW = 3
_BLOCK_BYTES = 1 << 20
# How far frames are searched: a tag with a picture may have some megabytes.
_SEARCHED_BYTES = 1 << 23
_XING_FRAMES = 1  # a flag: there is a number of frames
_XING = re.compile(rb"(?:Xing|Info)...(.)(....)", re.DOTALL)
_XING_WITHIN = 56  # bytes of the beginning of a frame
_ID3_BYTES = 10


class Stream(NamedTuple):
    """The frames of an MP3 file."""

    num_frames: int  # without the one that holds the number
    noted_frames: int | None  # the number of frames that the first one notes
    samples_per_frame: int
    is_plain: bool  # whether it begins right after the tags: the decoder then begins there, too
    is_all: bool  # whether no more frames follow after others, or after damage


def read_stream(path):
    """Goes from frame to frame through an MP3 file; returns a Stream, or None without frames."""
    start = first_frame(path)
    if start is None:
        return None
    with open(path, "rb") as file:
        descriptor = file.fileno()
        head = os.pread(descriptor, _XING_WITHIN, start)
        lengths, samples_per_frame = _kind(head[:3])
        num_frames, end = _follow(descriptor, start, lengths)
        is_plain = start == _after_tags(descriptor)
        is_all = _search(descriptor, end) is None
    noted, xing = None, _XING.search(head)
    if xing:
        num_frames -= 1
        noted = int.from_bytes(xing[2]) if xing[1][0] & _XING_FRAMES else None
    return Stream(num_frames, noted, samples_per_frame, is_plain, is_all)


def first_frame(path):
    """The byte at which the first frame begins, after tags or anything else; None without one."""
    with open(path, "rb") as file:
        descriptor = file.fileno()
        position = _after_tags(descriptor)
        if _is_frame(descriptor, position):
            return position
        # The size of a tag may be wrong, either way.
        return _search(descriptor, 0)


def _search(descriptor, position):
    block = os.pread(descriptor, _SEARCHED_BYTES, position)
    for match in _HEADER.finditer(block):
        if _is_frame(descriptor, position + match.start()):
            return position + match.start()
    return None


def _after_tags(descriptor):
    """The first byte after ID3v2 tags."""
    position = 0
    while (head := os.pread(descriptor, _ID3_BYTES, position))[:3] == b"ID3":
        position += _ID3_BYTES
        position += functools.reduce(lambda size, byte: size << 7 | byte & 0x7F, head[6:], 0)
    return position


def _is_frame(descriptor, position):
    """Whether a frame begins here: others of its kind, or the end of the file, must follow."""
    kind = _kind(os.pread(descriptor, _HEADER_BYTES, position))
    size = os.fstat(descriptor).st_size
    for _ in range(_FRAMES_IN_A_ROW if kind else 0):
        if position == size:
            break
        length = kind[0].get(os.pread(descriptor, _HEADER_BYTES, position))
        if length is None:
            return False
        position += length
    return kind is not None


def _follow(descriptor, position, lengths):
    """Counts the whole frames from a byte on; also returns the byte after the last of them."""
    num_frames, last, offset = 0, 0, 1
    while offset and (block := os.pread(descriptor, _BLOCK_BYTES, position)):
        offset = 0
        while length := lengths.get(block[offset : offset + _HEADER_BYTES]):
            offset, last = offset + length, length
            num_frames += 1
        position += offset
    if position > os.fstat(descriptor).st_size:  # the last one is cut
        return num_frames - 1, position - last
    return num_frames, position


@functools.lru_cache(maxsize=64)
def _kind(header):
    """What is known of frames that go with one that begins with these 3 bytes.

    Returns the bytes of a frame by the 3 bytes it begins with, and the samples of each; or None.
    """
    if len(header) < 3 or header[0] != 0xFF or header[1] < 0xE0:
        return None
    version, layer, rate = header[1] >> 3 & 3, header[1] >> 1 & 3, header[2] >> 2 & 3
    bit_rates = _BIT_RATES.get((version == 3, layer))
    if version not in _SAMPLE_RATES or bit_rates is None or rate == 3:
        return None
    samples = 576 if layer == 1 and version != 3 else 1152
    lengths = {}
    for (index, kbit), padding, private in product(enumerate(bit_rates, 1), (0, 1), (0, 1)):
        key = bytes((0xFF, header[1], index << 4 | rate << 2 | padding << 1 | private))
        lengths[key] = samples * kbit * 125 // _SAMPLE_RATES[version][rate] + padding
    return (lengths, samples) if header in lengths else None
