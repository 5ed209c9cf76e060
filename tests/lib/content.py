"""Bytes that tell by themselves what they are.

Every cell of 16 bytes begins with the version's number; the rest is a hash
stream of (name, version).  So any piece of a read says which version it claims
to be, and whether each of its bytes is that version's byte at that offset.
"""

import functools
import hashlib

CELL = 16


def _raw(name):
    return name if isinstance(name, bytes) else name.encode(
        "utf-8", "surrogateescape")


@functools.lru_cache(maxsize=64)
def content(name, version, size):
    n = -(-size // CELL)
    seed = _raw(name) + b"\0" + str(version).encode()
    cells = bytearray(hashlib.shake_128(seed).digest(n * CELL))
    for i, byte in enumerate(version.to_bytes(4, "big")):
        cells[i::CELL] = bytes([byte]) * n
    return bytes(cells[:size])


def version_of(data, offset=0):
    """The version the first whole cell of data claims; None: too short."""
    at = -offset % CELL
    if len(data) < at + 4:
        return None
    return int.from_bytes(data[at:at + 4], "big")


def what_is_wrong(name, size, offset, data, version=None):
    """None when data is one version's bytes at offset, else a sentence."""
    if version is None:
        version = version_of(data, offset)
    if version is None:
        return None
    want = content(name, version, size)[offset:offset + len(data)]
    if data == want:
        return None
    if len(want) < len(data):
        return f"{name}: {len(data)} bytes at {offset}, beyond {size}"
    first = next(i for i, (a, b) in enumerate(zip(data, want)) if a != b)
    return (f"{name}: byte {offset + first} is not version {version}'s "
            f"(cell there claims {version_of(data[first:], offset + first)})")
