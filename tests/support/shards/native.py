"""
The server's side of ClickHouse's native protocol, as far as a `Distributed` table needs it to insert.
"""

import re
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Final

from sandbox.clickhouse.compression import decode_blocks, encode_blocks
from sandbox.clickhouse.errors import ClickHouseError

# Settings are text from 54429 on; from 54442 on a query has more in front of them.
_REVISION: Final = 54430
_BLOCK_BYTES: Final = 1 << 20
_BLOCK_INFO: Final = b"\x01\x00\x02\xff\xff\xff\xff\x00"
_NO_ROWS: Final = b"\x00\x00"
_TCP: Final = 1
_COMPRESSED: Final = 1
_CODE: Final = re.compile(r"Code: (\d+)\.")

HELLO, DATA = 0, 2
ANSWER_DATA, ANSWER_EXCEPTION, ANSWER_PONG, ANSWER_END, ANSWER_TABLES_STATUS = 1, 2, 4, 5, 9

Columns = Sequence[tuple[str, str]]
"""Name and type of each column."""
Insert = Callable[[str, str, dict[str, str], bytes], None]
"""Inserts a block of the format Native: user, statement, settings, block. ClickHouseError when it is refused."""


def answer(connection: socket.socket, columns_of: Callable[[str, str], Columns], insert: Insert) -> None:
    """Answer a client until it goes; `columns_of` tells the columns that the statement of a user wants."""
    wire, user = _Wire(connection), ""
    while (packet := wire.number_or_end()) is not None:
        match packet:
            case 0:
                user = _greet(wire)
            case 1:
                _take_rows(wire, user, columns_of, insert)
            case 4:
                wire.send(_number(ANSWER_PONG))
            case 5:
                tables = [(wire.text(), wire.text()) for _ in range(wire.number())]
                listed = b"".join(_text(database) + _text(table) + b"\x00" for database, table in tables)
                wire.send(_number(ANSWER_TABLES_STATUS) + _number(len(tables)) + listed)
            case _:
                raise NotImplementedError(f"a packet of type {packet}: only inserts are answered")


def _greet(wire: "_Wire") -> str:
    wire.text()
    for _ in range(3):
        wire.number()
    _, user, _ = wire.text(), wire.text(), wire.text()
    name = _text("ClickHouse") + _number(26) + _number(9) + _number(_REVISION)
    wire.send(_number(HELLO) + name + _text("UTC") + _text("shard") + _number(0))
    return user


def _take_rows(wire: "_Wire", user: str, columns_of: Callable[[str, str], Columns], insert: Insert) -> None:
    statement, settings = _read_query(wire)
    if not statement.startswith("INSERT"):
        raise NotImplementedError(f"only inserts are answered: {statement[:60]}")
    wire.block()  # no external tables
    columns = columns_of(user, statement)
    header = _number(len(columns)) + _number(0) + b"".join(_text(name) + _text(kind) for name, kind in columns)
    wire.send(_number(ANSWER_DATA) + _text("") + encode_blocks(_BLOCK_INFO + header))
    blocks = [*iter(wire.block, None)]
    try:
        for block in blocks:
            insert(user, statement, settings, block)
    except ClickHouseError as error:
        found = _CODE.search(str(error))
        code = struct.pack("<i", int(found[1]) if found else 1001)
        wire.send(_number(ANSWER_EXCEPTION) + code + _text("DB::Exception") + _text(str(error)) + _text("") + b"\x00")
    else:
        wire.send(_number(ANSWER_END))


def _read_query(wire: "_Wire") -> tuple[str, dict[str, str]]:
    wire.text()
    if wire.byte():  # the client tells of itself
        for _ in range(3):
            wire.text()
        by_tcp = wire.byte() == _TCP
        if by_tcp:
            _ = [wire.text() for _ in range(3)], [wire.number() for _ in range(3)]
        wire.text()
        if by_tcp:
            wire.number()
    settings = {}
    while name := wire.text():
        wire.number()
        settings[name] = wire.text()
    wire.number()
    if wire.number() != _COMPRESSED:
        raise NotImplementedError("blocks have to be compressed: then each tells where it ends")
    return wire.text(), settings


class _Wire:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._file = connection.makefile("rb")

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def byte(self) -> int:
        return self._exactly(1)[0]

    def number_or_end(self) -> int | None:
        first = self._file.read(1)
        return self._number_from(first[0]) if first else None

    def number(self) -> int:
        return self._number_from(self.byte())

    def text(self) -> str:
        return self._exactly(self.number()).decode()

    def block(self) -> bytes | None:
        """Return a block of data in the format Native, None when it has no columns: that ends an insert."""
        if (packet := self.number()) != DATA:
            raise NotImplementedError(f"a packet of type {packet} in place of data")
        self.text()
        whole = b""
        while True:
            head = self._exactly(25)
            _, size, plain = struct.unpack_from("<BII", head, 16)
            whole += decode_blocks(head + self._exactly(size - 9))
            if plain < _BLOCK_BYTES:
                break
        if not whole.startswith(_BLOCK_INFO):
            raise NotImplementedError("a block of another form")
        found = whole[len(_BLOCK_INFO) :]
        return None if found.startswith(_NO_ROWS) else found

    def _number_from(self, byte: int) -> int:
        number, shift = byte & 127, 7
        while byte > 127:
            byte = self.byte()
            number |= (byte & 127) << shift
            shift += 7
        return number

    def _exactly(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            raise EOFError
        return data


def _number(number: int) -> bytes:
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])


def _text(text: str) -> bytes:
    return _number(len(text.encode())) + text.encode()
