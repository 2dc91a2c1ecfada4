"""What a container says about its own size: the sure sign of a file that was cut short.

Decoders read half an upload as if it were a whole, shorter recording, and a transcript then no longer matches its clip.
Most containers announce how many bytes they hold. This module reads those numbers and nothing else; it reports only
what is certain, so a file with unusual but complete contents is never suspected.
"""

import unicodedata
from dataclasses import dataclass
from typing import BinaryIO, Literal

# Writers that cannot seek back (pipes, browsers) leave a marker instead of a size: 0, 0xFFFFFFFF, 0x7FFFF000, …
_UNKNOWN_SIZE = 0x7FFF_0000
# Top-level boxes of ISO/IEC 14496-12 files. Anything else ends the walk: it may be foreign bytes after the last box.
_MP4_BOXES = set(b"ftyp styp moov moof mdat free skip wide sidx uuid meta mfra".split())
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_OGG_PAGE_MAX = 27 + 255 + 255 * 255


@dataclass(frozen=True)
class Shortfall:
    """A part of the file that ends before it should: ``present`` of ``announced`` bytes.

    ``byte_rate`` is bytes per second where the container states it (WAV), else None.
    """

    present: int
    announced: int
    byte_rate: int | None = None


def looks_like_text(head: bytes) -> bool:
    """Return whether the first bytes of a file are text: valid UTF-8 without control characters but white space."""
    # The cut may fall inside a character of up to four bytes, so up to three bytes at the end are forgiven.
    for end in range(len(head), max(len(head) - 4, 0), -1):
        try:
            text = head[:end].decode("utf-8-sig")
        except UnicodeDecodeError:
            continue
        return all(character in "\t\n\v\f\r" or unicodedata.category(character) != "Cc" for character in text)
    return False


def looks_like_media(head: bytes) -> bool:
    """Return whether the first bytes are the signature of a container this package reads."""
    return head.startswith((b"RIFF", b"FORM", b"OggS", b"fLaC", b"ID3", b"caff", b"#!AMR", _EBML)) or (
        len(head) >= 8 and head[4:8] in _MP4_BOXES
    )


def find_shortfall(file: BinaryIO, size: int) -> Shortfall | None:
    """Return what is missing from ``file`` (open for reading, ``size`` bytes), or None when nothing is known to be.

    Moves the file position.
    """
    file.seek(0)
    head = file.read(12)
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return _in_chunks(file, size, b"data", "little")
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _in_chunks(file, size, b"SSND", "big")
    if head[:4] == b"OggS":
        return _in_last_ogg_page(file, size)
    if head[:4] == _EBML:
        return _in_matroska_segment(file, size)
    if head[4:8] in _MP4_BOXES:
        return _in_mp4_boxes(file, size)
    return _in_mp3(file, size)


def _in_chunks(file: BinaryIO, size: int, sound: bytes, order: Literal["little", "big"]) -> Shortfall | None:
    """RIFF and IFF: chunks of a four-byte name, a size and the contents, padded to even length."""
    position, byte_rate = 12, None
    while position + 8 <= size:
        file.seek(position)
        header = file.read(8)
        length = int.from_bytes(header[4:], order)
        present = size - position - 8
        if header[:4] == sound:
            # One byte may be the padding, which some writers count and do not write.
            if present + 1 < length < _UNKNOWN_SIZE:
                return Shortfall(present, length, byte_rate)
            return None
        if header[:4] == b"fmt ":
            byte_rate = int.from_bytes(file.read(12)[8:12], "little") or None
        position += 8 + length + length % 2
    return None


def _in_last_ogg_page(file: BinaryIO, size: int) -> Shortfall | None:
    """Ogg (RFC 3533): the last page lists the lengths of its segments, which must all be there."""
    start = max(size - _OGG_PAGE_MAX, 0)
    file.seek(start)
    tail = file.read(_OGG_PAGE_MAX)
    page = tail.rfind(b"OggS\x00")
    if page < 0:
        return None
    count = tail[page + 26] if page + 26 < len(tail) else 0
    table = tail[page + 27 : page + 27 + count]
    length = 27 + count + sum(table)
    if len(tail) - page >= length and page + 26 < len(tail):
        return None
    # Earlier pages are whole, so the whole file but for this page's missing end is what is present.
    return Shortfall(size, start + page + length)


def _in_matroska_segment(file: BinaryIO, size: int) -> Shortfall | None:
    """Matroska and WebM (RFC 8794, 9559): an EBML header, then one Segment that states its length unless live."""
    header = _ebml_size(file, 4)
    if header is None:
        return None
    position = header[0] + header[1]
    file.seek(position)
    if file.read(4) != _SEGMENT:
        return None
    segment = _ebml_size(file, position + 4)
    if segment is None or segment[0] + segment[1] <= size:
        return None
    return Shortfall(size - segment[0], segment[1])


def _ebml_size(file: BinaryIO, position: int) -> tuple[int, int] | None:
    """Return (position after it, value) of the variable-length size at ``position``; None where unknown or absent."""
    file.seek(position)
    data = file.read(8)
    if not data or data[0] == 0:
        return None
    length = 9 - data[0].bit_length()
    mask = (1 << 7 * length) - 1
    value = int.from_bytes(data[:length], "big") & mask
    # All ones is the reserved "length unknown" of live recordings.
    return None if value == mask else (position + length, value)


def _in_mp4_boxes(file: BinaryIO, size: int) -> Shortfall | None:
    """MP4, M4A, MOV, 3GP (ISO/IEC 14496-12): top-level boxes of a size and a four-byte name."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:  # the size follows the name in 64 bits
            length = int.from_bytes(header[8:16], "big")
        if header[4:8] not in _MP4_BOXES or length < 8:  # 0: this box runs to the end of the file
            return None
        if position + length > size:
            return Shortfall(size - position, length)
        position += length
    return None


def _in_mp3(file: BinaryIO, size: int) -> Shortfall | None:
    """MP3: the "Xing"/"Info" header most encoders put in the first frame may state the stream's bytes."""
    file.seek(0)
    head = file.read(10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:  # its size is four 7-bit bytes
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    file.seek(start)
    frame = file.read(64)
    if len(frame) < 2 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return None
    tag = max(frame.find(b"Xing"), frame.find(b"Info"))
    flags = frame[tag + 7] if 0 < tag < 48 else 0
    if not flags & 2:
        return None
    at = tag + 8 + (4 if flags & 1 else 0)
    announced = int.from_bytes(frame[at : at + 4], "big")
    present = size - start
    # Tag editors and joiners leave this number slightly wrong; a cut upload is usually far off.
    return Shortfall(present, announced) if present < 0.98 * announced else None
