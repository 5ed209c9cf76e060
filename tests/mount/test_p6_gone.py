"""P6: a generation that is gone is ESTALE; the next open sees what is now."""

import errno
import os
import time

import pytest

from lake import BIG, KIB, errno_of, read

SIZE = 4 * BIG


def read_all(fd):
    for offset in range(0, SIZE, 256 * KIB):
        os.pread(fd, 256 * KIB, offset)


@pytest.mark.parametrize("replicas", [[], ["dc1"]], ids=["alone", "dc1"])
def test_p6_overwritten_is_estale_then_the_new_one(lake, replicas):
    lake.put("f.bin", size=SIZE)
    mount = lake.mount(replicas=replicas)
    fd = os.open(mount / "f.bin", os.O_RDONLY)
    os.pread(fd, 10, 0)
    lake.put("f.bin", size=SIZE)
    assert errno_of(read_all, fd) == errno.ESTALE
    os.close(fd)
    lake.check("f.bin", read(mount / "f.bin"))


def test_p6_deleted_is_estale_then_enoent(lake):
    lake.put("f.bin", size=SIZE)
    mount = lake.mount(replicas=[])
    fd = os.open(mount / "f.bin", os.O_RDONLY)
    os.pread(fd, 10, 0)
    lake.record.delete("f.bin")
    assert errno_of(read_all, fd) == errno.ESTALE
    os.close(fd)
    assert errno_of(os.open, mount / "f.bin", os.O_RDONLY) == errno.ENOENT


def test_p6_deleted_then_made_again_is_the_new_one(lake):
    lake.put("f.bin")
    mount = lake.mount(replicas=[])
    lake.check("f.bin", read(mount / "f.bin"))
    lake.record.delete("f.bin")
    assert errno_of(read, mount / "f.bin") == errno.ENOENT
    lake.put("f.bin")
    time.sleep(1.1)  # names_ttl: how long "not there" may be repeated
    lake.check("f.bin", read(mount / "f.bin"))


@pytest.mark.parametrize("site", ["dc1", "dc2"])
def test_p6_a_deleted_file_is_not_found_at_a_replica(lake, site):
    """A copy that outlives its object keeps old handles alive, no names."""
    lake.put("f.bin", size=SIZE)
    lake.copy("f.bin", site)
    mount = lake.mount(replicas=[site], here=site)
    fd = os.open(mount / "f.bin", os.O_RDONLY)
    os.pread(fd, 10, 0)
    lake.record.delete("f.bin")
    read_all(fd)
    os.close(fd)
    assert errno_of(read, mount / "f.bin") == errno.ENOENT


def test_p6_what_is_cached_stays_readable_on_an_old_handle(lake):
    lake.put("f.bin")
    mount = lake.mount(replicas=[])
    fd = os.open(mount / "f.bin", os.O_RDONLY)
    os.pread(fd, 10, 0)
    lake.record.delete("f.bin")
    assert os.pread(fd, 10 * KIB, 0) == lake.data("f.bin")
    os.close(fd)
