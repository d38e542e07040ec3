"""Zstandard as archives use it: frames one after the other, the dictionary of .warc.zst, and bounds on memory."""

from __future__ import annotations

import zstandard

from transforms.codec import CodecError

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
DICTIONARY_MAGIC = b"\x5d\x2a\x4d\x18"
"""A skippable frame that holds the dictionary of all frames after it, first in the file: IIPC, Zstandard Compression
for WARC Files 1.0."""
_SKIPPABLE = b"\x2a\x4d\x18"
"""Bytes 1 to 3 of a skippable frame's magic; byte 0 is 0x50 to 0x5f. RFC 8878, 3.1.2."""
MAX_WINDOW = 128 << 20
"""Bytes of history that a frame may ask for: what the zstd command takes unless told otherwise
(ZSTD_WINDOWLOG_LIMIT_DEFAULT is 27)."""
MAX_DICTIONARY = 16 << 20
"""Bytes of a dictionary, compressed or not; those of web archives are a few hundred KiB."""


class Zstd:
    """RFC 8878: frames, and skippable frames, which hold nothing but, at the start of a file, a dictionary.

    The blocks of a frame are walked here and given to the library one by one, since a few bytes can hold many blocks of
    128 KiB: so what comes out at once is bounded by one block."""

    name = "zstd"
    member = "zstd frame"
    magic = ZSTD_MAGIC

    def __init__(self) -> None:
        self._first, self._dictionary = True, bytearray()
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        self._has_dictionary = False
        self.start()

    def starts(self, head: bytes) -> bool:
        return head.startswith(ZSTD_MAGIC) or (len(head) >= 4 and head[1:4] == _SKIPPABLE and head[0] >> 4 == 5)

    def start(self) -> None:
        self.eof = False
        self._given, self._at = b"", 0
        self._ready = b""
        self._state = "head"
        self._left = 0
        """Bytes that lack to the end of the block, checksum or skippable frame; when none does, its header comes."""
        self._last = self._checksum = False

    @property
    def unused(self) -> bytes:
        return self._given[self._at :]

    def decode(self, data: bytes, size: int) -> bytes:
        if data:
            self._given, self._at = self.unused + data, 0
        while not self._ready and not self.eof and self._step():
            pass
        data, self._ready = self._ready[:size], self._ready[size:]
        if self._state == "end" and not self._ready:
            self.eof, self._first = True, False
        return data

    def _step(self) -> bool:
        """One step ahead in the frame, if there are bytes enough for it."""
        match self._state:
            case "head":
                magic = self._peek(4)
                return bool(magic) and (self._open_frame() if magic == ZSTD_MAGIC else self._open_skippable(magic))
            case "block header":
                if header := self._peek(3):
                    bits = int.from_bytes(header, "little")
                    self._last, repeated = bool(bits & 1), bits >> 1 & 3 == 1
                    self._left, self._state = 3 + (1 if repeated else bits >> 3), "block"
                return bool(header)
            case "end":
                return False
        return self._consume()

    def _open_frame(self) -> bool:
        """Reads a frame's header, and says no to what would take too much memory."""
        prefix = self._peek(5)
        size = zstandard.frame_header_size(prefix) if prefix else 0
        header = self._peek(size)
        if not header:
            return False
        try:
            frame = zstandard.get_frame_parameters(header)
        except zstandard.ZstdError as error:
            raise CodecError(str(error)) from error
        if frame.window_size > MAX_WINDOW:
            raise CodecError(f"the frame needs {frame.window_size} bytes of history; at most {MAX_WINDOW} are given")
        if frame.dict_id and not self._has_dictionary:
            raise CodecError(f"the frame needs dictionary {frame.dict_id}, and the file does not start with one")
        self._checksum, self._inflater = frame.has_checksum, self._decompressor.decompressobj()
        self._give(size)
        self._state = "block header"
        return True

    def _open_skippable(self, magic: bytes) -> bool:
        header = self._peek(8)
        if not header:
            return False
        self._at += 8
        self._left, self._state = int.from_bytes(header[4:], "little"), "skip"
        if self._first and magic == DICTIONARY_MAGIC:
            self._state = "dictionary"
            if self._left > MAX_DICTIONARY:
                raise CodecError(f"a dictionary of {self._left} bytes; at most {MAX_DICTIONARY} are taken")
        return True

    def _consume(self) -> bool:
        """Goes on to the end of the block, checksum or skippable frame, or as far as there are bytes."""
        count = min(self._left, len(self._given) - self._at)
        match self._state:
            case "dictionary":
                self._dictionary += self._given[self._at : self._at + count]
                self._at += count
            case "skip":
                self._at += count
            case _:
                self._give(count)
        self._left -= count
        if self._left:
            return False
        match self._state:
            case "block" if not self._last:
                self._state = "block header"
            case "block" if self._checksum:
                self._left, self._state = 4, "checksum"
            case state:
                if state == "dictionary":
                    self._load_dictionary(bytes(self._dictionary))
                self._state = "end"
        return True

    def _peek(self, count: int) -> bytes:
        """The next `count` bytes; none while there are fewer."""
        data = self._given[self._at : self._at + count]
        return data if len(data) == count else b""

    def _give(self, count: int) -> None:
        data = self._given[self._at : self._at + count]
        self._at += count
        try:
            self._ready += self._inflater.decompress(data)
        except zstandard.ZstdError as error:
            raise CodecError(str(error)) from error

    def _load_dictionary(self, data: bytes) -> None:
        try:
            if data.startswith(ZSTD_MAGIC):
                data = _small(data)
            loaded = zstandard.ZstdCompressionDict(data, dict_type=zstandard.DICT_TYPE_FULLDICT)
            self._decompressor = zstandard.ZstdDecompressor(dict_data=loaded, max_window_size=MAX_WINDOW)
            self._decompressor.decompressobj()  # reads the dictionary, or fails
        except zstandard.ZstdError as error:
            raise CodecError(f"the dictionary at the file's start: {error}") from error
        self._dictionary, self._has_dictionary = bytearray(), True


def _small(frame: bytes) -> bytes:
    """A compressed dictionary, inflated. Raises CodecError if it is longer than MAX_DICTIONARY."""
    reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(frame)
    data = reader.read(MAX_DICTIONARY + 1)
    if len(data) > MAX_DICTIONARY:
        raise CodecError(f"a dictionary of more than {MAX_DICTIONARY} bytes")
    return data
