"""The records of a zip archive of ``torch.save``: each is checked before it takes memory, and has its checksum.

torch itself compares no checksum: of a damaged file it would load wrong numbers.
"""

import struct
import zipfile
import zlib
from typing import BinaryIO, Dict, NamedTuple, Union

from ..errors import FishNetError
from .text import shown

LOCAL_HEADER = struct.Struct('<4s22xHH')
LOCAL_START = b'PK\x03\x04'


class Record(NamedTuple):
    """Where the bytes of a record are in the file."""

    start: int
    size: int
    crc: int


class ZipRecords:
    """The records of an archive by their names, without the folder that holds all of them.

    Args:
        opened (BinaryIO): The archive.
        file (str): What messages call it.

    Raises:
        FishNetError: If a record is compressed, has a password, is there twice or overlaps another one.
        Exception: Of any type, if it is damaged.
    """

    def __init__(self, opened: BinaryIO, file: str) -> None:
        self.opened = opened
        self.file = file
        with zipfile.ZipFile(opened) as archive:
            members = sorted(archive.infolist(), key=lambda member: member.header_offset)
        size = opened.seek(0, 2)
        folder = next(m.filename for m in members if m.filename.endswith('data.pkl'))[: -len('data.pkl')]
        self.records: Dict[str, Record] = {}
        end = 0
        for member in members:
            name = shown(member.filename)
            if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
                raise FishNetError(
                    f'{file} is compressed ({name}), and torch.save compresses nothing: unpack it, and zip it with zip -0'
                )
            if member.flag_bits & 1:
                raise FishNetError(f'{file} has a password ({name}): save it again without')
            opened.seek(member.header_offset)
            start, name_length, extra_length = LOCAL_HEADER.unpack(opened.read(LOCAL_HEADER.size))
            record = Record(
                member.header_offset + LOCAL_HEADER.size + name_length + extra_length, member.file_size, member.CRC
            )
            key = member.filename[len(folder) :] if member.filename.startswith(folder) else None
            if start != LOCAL_START or member.header_offset < end or record.start + record.size > size or key in self.records:
                raise FishNetError(
                    f'{file} is not a checkpoint, or damaged: its record {name} overlaps another one, or the end'
                )
            end = record.start + record.size
            if key is not None:
                self.records[key] = record
        #: torch.serialization.set_crc32_options(False) saves without checksums.
        self.has_checksums = any(record.crc for record in self.records.values())

    def read_into(self, name: str, memory: Union[bytearray, memoryview]) -> None:
        """Reads a record into memory of its size.

        Raises:
            FishNetError: If the checksum differs.
        """
        record = self.records[name]
        self.opened.seek(record.start)
        if self.opened.readinto(memory) != record.size or (self.has_checksums and zlib.crc32(memory) != record.crc):
            raise FishNetError(
                f'{self.file} is damaged: the checksum of its record {shown(name)} differs; copy or download it again'
            )

    def read(self, name: str) -> bytes:
        """The bytes of a record.

        Raises:
            FishNetError: If the checksum differs.
        """
        memory = bytearray(self.records[name].size)
        self.read_into(name, memory)
        return bytes(memory)
