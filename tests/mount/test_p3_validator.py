"""P3: after the proof each range is asked for under the copy's validator."""

import os

import pytest

from content import version_of, what_is_wrong
from lake import BIG, KIB, MIB

SIZE = 4 * BIG


def read_in_two(lake, mount, name, between):
    """The first piece, then between(), then the rest, on one handle."""
    fd = os.open(mount / name, os.O_RDONLY)
    try:
        pieces = [os.pread(fd, 64 * KIB, 0)]
        between()
        at = 64 * KIB
        while at < SIZE:
            pieces.append(os.pread(fd, 512 * KIB, at))
            at += len(pieces[-1])
        return b"".join(pieces)
    finally:
        os.close(fd)


@pytest.mark.parametrize("site, how", [
    ("dc1", "stale"), ("dc1", "stale_unstamped"), ("dc1", "torn"),
    ("dc2", "stale_unstamped"), ("dc2", "torn")])
def test_p3_a_copy_replaced_between_ranges_is_left(lake, site, how):
    """The copier runs backwards, in the middle of a read."""
    lake.put("v.bin", size=SIZE)
    lake.put("v.bin", size=SIZE)
    lake.copy("v.bin", site)
    mount = lake.mount(replicas=[site], here=site)
    data = read_in_two(lake, mount, "v.bin",
                       lambda: lake.copy("v.bin", site, how))
    lake.check("v.bin", data)
    assert mount.status()["metrics"]["failovers"] + \
        mount.refused("changed") + mount.refused("stale") + \
        mount.refused("torn") > 0


@pytest.mark.parametrize("site", ["dc1", "dc2"])
def test_p3_a_copy_made_again_is_proven_again(lake, site):
    """Same bytes, new ETag: one more proof, and it goes on."""
    lake.put("v.bin", size=SIZE)
    lake.copy("v.bin", site)
    mount = lake.mount(replicas=[site], here=site)
    before = lake.record.server.counters()
    data = read_in_two(lake, mount, "v.bin", lambda: lake.copy("v.bin", site))
    lake.check("v.bin", data)
    assert (lake.record.server.counters() - before)["media"] <= 1


def test_p3_a_directory_copy_replaced_between_ranges_is_left(make_lake):
    lake = make_lake(dc2_directory=True)
    lake.put("v.bin", size=SIZE)
    lake.put("v.bin", size=SIZE)
    lake.copy("v.bin", "dc2")
    mount = lake.mount(replicas=["dc2"], here="dc2")
    lake.far_record(50)
    data = read_in_two(lake, mount, "v.bin",
                       lambda: lake.copy("v.bin", "dc2", "stale"))
    lake.check("v.bin", data)


def test_p3_a_directory_copy_written_in_place_is_never_mixed(make_lake):
    """rsync --inplace and the like: same inode, same size, other bytes."""
    lake = make_lake(dc2_directory=True)
    lake.put("v.bin", size=SIZE)
    lake.put("v.bin", size=SIZE)
    lake.copy("v.bin", "dc2")
    mount = lake.mount(replicas=["dc2"], here="dc2")
    lake.far_record(50)

    def overwrite():
        with open(lake.dc2.dir / "v.bin", "r+b") as file:
            file.seek(MIB)
            file.write(lake.data("v.bin", 0)[MIB:])
        os.setxattr(lake.dc2.dir / "v.bin", "user.generation",
                    str(lake.generation("v.bin", 0)).encode())

    lake.check("v.bin", read_in_two(lake, mount, "v.bin", overwrite))


def test_p3_twin_without_validator_and_proof_a_mix_is_read(lake):
    lake.put("v.bin", size=SIZE)
    lake.put("v.bin", size=SIZE)
    lake.copy("v.bin", "dc1")
    mount = lake.mount(replicas=["dc1"], unsafe=["validator", "proof", "crc"])
    data = read_in_two(lake, mount, "v.bin",
                       lambda: lake.copy("v.bin", "dc1", "stale"))
    assert version_of(data) == 2
    assert what_is_wrong("v.bin", SIZE, 0, data, 2)
