"""P1: an open handle reads the one generation pinned at open, never a mix.

The twin shows that without the pin these tests do see a mix.
"""

import errno
import os
import subprocess
import sys

import pytest

from content import version_of, what_is_wrong
from lake import BIG, BOUND, KIB, MIB

SIZE = 4 * BIG


def read_rest(fd, size, step=128 * KIB):
    """[(offset, bytes or errno)] of the whole file, in pieces."""
    pieces = []
    for offset in range(0, size, step):
        try:
            pieces.append((offset, os.pread(fd, step, offset)))
        except OSError as error:
            pieces.append((offset, error.errno))
    return pieces


def judge(name, pieces, version):
    """Every piece is that version's or ESTALE; returns how many were bytes."""
    n = 0
    for offset, piece in pieces:
        if isinstance(piece, int):
            assert piece == errno.ESTALE, f"{os.strerror(piece)} at {offset}"
            continue
        wrong = what_is_wrong(name, SIZE, offset, piece, version)
        assert not wrong, wrong
        n += 1
    return n


@pytest.mark.smoke
def test_p1_overwrite_under_an_open_handle_is_estale_or_the_old_bytes(lake):
    lake.put("a.bin", size=SIZE)
    mount = lake.mount(replicas=[])
    fd = os.open(mount / "a.bin", os.O_RDONLY)
    assert version_of(os.pread(fd, 64, 0)) == 1
    lake.put("a.bin", size=SIZE)
    pieces = read_rest(fd, SIZE)
    os.close(fd)
    assert judge("a.bin", pieces, 1) < len(pieces), "where was it read from?"
    lake.check("a.bin", (mount / "a.bin").read_bytes())


def test_p1_a_late_replica_keeps_an_old_handle_alive(lake):
    """The record has moved on; dc2 still has what the handle pinned."""
    lake.put("a.bin", size=SIZE)
    lake.copy("a.bin", "dc2")
    mount = lake.mount()
    fd = os.open(mount / "a.bin", os.O_RDONLY)
    os.pread(fd, 64, 0)
    lake.put("a.bin", size=SIZE)
    lake.copy("a.bin", "dc1")
    pieces = read_rest(fd, SIZE)
    os.close(fd)
    assert judge("a.bin", pieces, 1) == len(pieces)
    lake.check("a.bin", (mount / "a.bin").read_bytes())


def test_p1_overwrites_everywhere_while_reading_never_mix(lake):
    name = "b.bin"
    lake.put(name, size=SIZE)
    lake.copy(name, "dc1")
    lake.copy(name, "dc2")
    mount = lake.mount()
    for turn in range(6):
        version = len(lake.history[name])
        with open(mount / name, "rb", buffering=0) as file:
            pieces = []
            for offset in range(0, SIZE, MIB):
                if offset == (turn + 2) * MIB:
                    lake.put(name, size=SIZE)
                    for site in ("dc1", "dc2")[:turn % 3]:
                        lake.copy(name, site)
                try:
                    pieces.append((offset, os.pread(file.fileno(), MIB,
                                                    offset)))
                except OSError as error:
                    pieces.append((offset, error.errno))
        assert judge(name, pieces, version) > 0


MAP_CHILD = """
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
m = mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ)
first = m[:4096]
print("ready", flush=True)
sys.stdin.readline()
for at in range(0, len(m), 4096):
    sys.stdout.buffer.write(m[at:at + 4096])
    sys.stdout.buffer.flush()
"""


@pytest.mark.parametrize("survives", [True, False])
def test_p1_a_mapped_file_is_one_generation_or_a_signal(lake, survives):
    lake.put("m.bin", size=SIZE)
    if survives:
        lake.copy("m.bin", "dc2")
    mount = lake.mount()
    child = subprocess.Popen(
        [sys.executable, "-c", MAP_CHILD, mount / "m.bin"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"ready\n"
    lake.put("m.bin", size=SIZE)
    output, _ = child.communicate(b"go\n", timeout=BOUND)
    wrong = what_is_wrong("m.bin", SIZE, 0, output, 1)
    assert not wrong, wrong
    if survives:
        assert child.returncode == 0 and len(output) == SIZE
    else:
        assert child.returncode == -7  # SIGBUS


def test_p1_two_handles_on_two_generations_at_once(lake):
    lake.put("two.bin", size=SIZE)
    lake.copy("two.bin", "dc2")
    mount = lake.mount()
    old = os.open(mount / "two.bin", os.O_RDONLY)
    os.pread(old, 64, 0)
    lake.put("two.bin", size=SIZE)
    new = os.open(mount / "two.bin", os.O_RDONLY)
    for offset in range(0, SIZE, MIB):
        for fd, version in ((old, 1), (new, 2), (old, 1)):
            data = os.pread(fd, 64 * KIB, offset)
            wrong = what_is_wrong("two.bin", SIZE, offset, data, version)
            assert not wrong, wrong
    os.close(old)
    os.close(new)


def test_p1_a_shrunk_file_never_shortens_an_open_one(lake):
    lake.put("s.bin", size=SIZE)
    lake.copy("s.bin", "dc2")
    mount = lake.mount()
    fd = os.open(mount / "s.bin", os.O_RDONLY)
    os.pread(fd, 64, 0)
    lake.put("s.bin", size=4 * KIB)
    os.stat(mount / "s.bin")
    pieces = read_rest(fd, SIZE)
    os.close(fd)
    assert judge("s.bin", pieces, 1) > 0
    assert sum(len(p) for _, p in pieces if not isinstance(p, int)) % KIB == 0
    lake.check("s.bin", (mount / "s.bin").read_bytes())


def test_p1_twin_without_the_pin_a_mix_is_read(lake):
    lake.put("t.bin", size=SIZE)
    mount = lake.mount(replicas=[], unsafe=["pin", "validator", "proof", "crc"])
    fd = os.open(mount / "t.bin", os.O_RDONLY)
    os.pread(fd, 64, 0)
    lake.put("t.bin", size=SIZE)
    pieces = read_rest(fd, SIZE)
    os.close(fd)
    with pytest.raises(AssertionError):
        judge("t.bin", pieces, 1)
