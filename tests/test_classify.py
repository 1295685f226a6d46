"""Inputs of `predict` from standard input."""

from __future__ import annotations

import io

import pytest

from lstm_bench.classify import lines_as_they_come
from lstm_bench.errors import DatasetError


class Pieces(io.RawIOBase):
    """A pipe from which each read gets one piece."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer):
        piece = self.pieces.pop(0) if self.pieces else b""
        buffer[: len(piece)] = piece
        return len(piece)


def test_lines_come_in_blocks_of_what_has_arrived():
    pieces = (b"a\r\nb\r", b"\nc\xc3", b"\xa4", b"\n\nlast")
    blocks = lines_as_they_come(io.BufferedReader(Pieces(*pieces)))
    assert list(blocks) == [["a"], ["b"], ["c\u00e4", ""], ["last"]]
    assert list(lines_as_they_come(io.BufferedReader(Pieces()))) == []


def test_a_line_of_standard_input_that_is_not_utf_8_is_an_error():
    blocks = lines_as_they_come(io.BufferedReader(Pieces(b"on\n", b"sch\xf6n\n")))
    assert next(blocks) == ["on"]
    with pytest.raises(DatasetError, match=r"line 2: expected UTF-8.*0xf6 after 'sch'"):
        next(blocks)
