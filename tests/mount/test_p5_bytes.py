"""P5: bytes are checked end to end; what contradicts its sum is not served."""

import errno
import os

import pytest

from lake import BIG, BOUND, KIB, errno_of, read, within

FLIP = {"flip_at": 1234}


@pytest.mark.smoke
@pytest.mark.parametrize("site", ["dc1", "dc2"])
def test_p5_one_flipped_bit_of_a_small_object_is_never_seen(lake, site):
    lake.put("f.bin", size=64 * KIB)
    lake.copy("f.bin", site)
    mount = lake.mount(replicas=[site], here=site)
    lake.site(site).server.faults(FLIP)
    lake.check("f.bin", within(BOUND, mount.read, "f.bin"))
    assert mount.metric("crc_mismatch") >= 1
    assert mount.refused("corrupt") >= 1 or \
        mount.site("f.bin") == "record"


@pytest.mark.parametrize("how", ["corrupt", "wrong_stamp"])
def test_p5_a_copy_whose_stamp_lies_about_its_bytes(lake, how):
    lake.put("f.bin", size=64 * KIB)
    lake.put("f.bin", size=64 * KIB)
    lake.copy("f.bin", "dc1", how)
    mount = lake.mount(replicas=["dc1"])
    lake.check("f.bin", within(BOUND, read, mount / "f.bin"))


def test_p5_a_flipped_bit_everywhere_is_eio(lake):
    lake.put("f.bin", size=64 * KIB)
    lake.copy("f.bin", "dc1")
    mount = lake.mount(replicas=["dc1"])
    os.stat(mount / "f.bin")
    for site in (lake.record, lake.dc1):
        site.server.faults({**FLIP, "match": "f.bin", "methods": ["GET"]})
    fd = os.open(mount / "f.bin", os.O_RDONLY)
    assert within(BOUND, errno_of, os.pread, fd, 4096, 0) == errno.EIO
    os.close(fd)
    for site in (lake.record, lake.dc1):
        site.server.heal()
    lake.check("f.bin", within(BOUND, read, mount / "f.bin"))


def test_p5_a_flipped_bit_of_a_big_object_is_found_at_its_end(lake):
    """Its first bytes are served before the sum is known; the handle says so."""
    lake.put("f.bin", size=BIG)
    lake.copy("f.bin", "dc1")
    mount = lake.mount(replicas=["dc1"])
    lake.dc1.server.faults({"flip_at": BIG // 2})
    fd = os.open(mount / "f.bin", os.O_RDONLY)
    found = 0
    for offset in list(range(0, BIG, 128 * KIB)) + [0]:
        found = found or errno_of(os.pread, fd, 128 * KIB, offset)
    os.close(fd)
    assert mount.metric("crc_mismatch") >= 1
    assert found in (0, errno.EIO)
    # The page cache of the handle is gone with it: a new one reads anew.
    lake.check("f.bin", within(BOUND, mount.read, "f.bin"))
    assert mount.site("f.bin") == "record"


def test_p5_integrity_full_checks_a_big_object_first(lake):
    lake.put("f.bin", size=BIG)
    lake.copy("f.bin", "dc1")
    mount = lake.mount(replicas=["dc1"], integrity="full")
    lake.dc1.server.faults({"flip_at": BIG // 2})
    lake.check("f.bin", within(BOUND, read, mount / "f.bin"))
    assert mount.metric("crc_mismatch") >= 1


def test_p5_every_tenth_kilobyte_flipped_with_many_readers(lake):
    names = [f"{i}.bin" for i in range(20)]
    for name in names:
        lake.put(name, size=100 * KIB)
        lake.copy(name, "dc1")
    mount = lake.mount(replicas=["dc1"])
    lake.dc1.server.faults({"flip_every": 10 * KIB})
    for name in names:
        lake.check(name, within(BOUND, read, mount / name))


def flip_cached_byte(state, at=5000):
    """Flips a bit in each data file of the cache; returns how many."""
    n = 0
    for path in (state / "cache").rglob("*"):
        if path.is_file() and path.suffix in (".data", ".whole") \
                and path.stat().st_size > at:
            with open(path, "r+b") as file:
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ 16]))
            n += 1
    return n


@pytest.mark.parametrize("size", [64 * KIB, BIG], ids=["small", "big"])
def test_p5_a_flipped_bit_in_the_cache_is_dropped(lake, size):
    lake.put("f.bin", size=size)
    mount = lake.mount(replicas=[])
    read(mount / "f.bin")
    mount.stop()
    assert flip_cached_byte(mount.state) >= 1, list(mount.state.rglob("*"))
    mount.start()
    lake.check("f.bin", within(BOUND, read, mount / "f.bin"))
    assert mount.metric("cache_torn_blocks") >= 1 or size < BIG


@pytest.mark.parametrize("keep", [0, 1, 4096, 20000])
def test_p5_a_truncated_cache_file_is_no_harm(lake, keep):
    lake.put("f.bin", size=BIG)
    mount = lake.mount(replicas=[])
    read(mount / "f.bin")
    mount.stop()
    for path in (mount.state / "cache").rglob("*"):
        if path.is_file():
            os.truncate(path, min(keep, path.stat().st_size))
    mount.start()
    lake.check("f.bin", within(BOUND, read, mount / "f.bin"))


def test_p5_twin_without_crc_the_flipped_bit_is_seen(lake):
    lake.put("f.bin", size=64 * KIB)
    lake.copy("f.bin", "dc1")
    mount = lake.mount(replicas=["dc1"], unsafe=["crc"])
    lake.dc1.server.faults(FLIP)
    with pytest.raises(AssertionError):
        lake.check("f.bin", read(mount / "f.bin"))


def test_p5_twin_without_crc_a_torn_cache_is_seen(lake):
    lake.put("f.bin", size=BIG)
    mount = lake.mount(replicas=[], unsafe=["crc"])
    read(mount / "f.bin")
    mount.stop()
    assert flip_cached_byte(mount.state) >= 1
    mount.start()
    with pytest.raises(AssertionError):
        lake.check("f.bin", read(mount / "f.bin"))
