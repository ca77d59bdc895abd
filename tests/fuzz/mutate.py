"""Damage to bytes that is the same on every machine: what the tests try, without an engine."""

import random
import struct

TELLING = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
"""Numbers at which readers stumble."""

FORMS = ("<B", "<H", ">H", "<I", ">I", "<Q", "<f", "<d")
"""How a number is written over what was there."""

TEXTS = (b"-1", b"nan", b"1e999", b"99999999999999999999", b"\\", b"\0", b"../", b"\xff\xfe", b"")
"""What is put where a text may be."""


def mutated(content: bytes, draws: random.Random, longest: int) -> bytes:
    """Return content with one to five kinds of damage."""
    changed = bytearray(content)
    for _ in range(draws.randint(1, 5)):
        draws.choice((_flip, _number, _text, _cut, _copy, _drop))(changed, draws)
    return bytes(changed[:longest])


def _at(content: bytearray, draws: random.Random) -> int:
    """Return a place; half of them near the beginning, where headers are."""
    limit = len(content) if draws.random() < 0.5 else min(len(content), 600)
    return draws.randrange(limit) if limit else 0


def _flip(content: bytearray, draws: random.Random) -> None:
    if content:
        content[_at(content, draws)] ^= 1 << draws.randrange(8)


def _number(content: bytearray, draws: random.Random) -> None:
    form, number = draws.choice(FORMS), draws.choice(TELLING)
    size = struct.calcsize(form)
    written = (
        struct.pack(form, draws.choice((float("nan"), float("inf"), -1.0, 1e-300, 3e38)))
        if form == "<d"
        else struct.pack(form, draws.choice((float("nan"), float("inf"), -1.0, 0.0)))
        if form == "<f"
        else struct.pack(form, number % (1 << 8 * size))
    )
    at = _at(content, draws)
    content[at : at + size] = written


def _text(content: bytearray, draws: random.Random) -> None:
    at = _at(content, draws)
    text = draws.choice(TEXTS)
    content[at : at + (len(text) if draws.random() < 0.7 else 0)] = text


def _cut(content: bytearray, draws: random.Random) -> None:
    if draws.random() < 0.3:
        del content[_at(content, draws) :]


def _copy(content: bytearray, draws: random.Random) -> None:
    start, to = _at(content, draws), _at(content, draws)
    content[to:to] = content[start : start + draws.randint(1, 64)]


def _drop(content: bytearray, draws: random.Random) -> None:
    start = _at(content, draws)
    del content[start : start + draws.randint(1, 32)]
