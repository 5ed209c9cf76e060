"""How many requests things may cost: the design's budget, counted."""

import os
import subprocess

import pytest

from lake import BIG, KIB, read

N = 2500


class Asked:
    """Counts what a site was asked within a `with`."""

    def __init__(self, site):
        self.server = site.server

    def __enter__(self):
        self.before = self.server.counters()
        return self

    def __exit__(self, *_):
        self.counts = self.server.counters() - self.before

    def __getitem__(self, kind):
        return self.counts[kind]

    @property
    def requests(self):
        return self.counts.requests


@pytest.mark.smoke
def test_cat_of_a_small_file_costs_two_requests(lake):
    lake.put("f.bin")
    mount = lake.mount(replicas=[])
    with Asked(lake.record) as asked:
        subprocess.run(["cat", mount / "f.bin"], check=True,
                       stdout=subprocess.DEVNULL)
    assert asked.requests <= 2, asked.counts


def test_cat_below_directories_costs_no_more_a_file(lake):
    for i in range(10):
        lake.put(f"a/b/c/{i}.bin")
    mount = lake.mount(replicas=[])
    os.listdir(mount / "a/b/c")
    with Asked(lake.record) as asked:
        for i in range(10):
            read(mount / f"a/b/c/{i}.bin")
    assert asked.requests <= 22, asked.counts


def test_cat_again_costs_one_conditional_request(lake):
    lake.put("f.bin")
    mount = lake.mount(replicas=[])
    read(mount / "f.bin")
    with Asked(lake.record) as asked:
        for _ in range(10):
            lake.check("f.bin", read(mount / "f.bin"))
    assert asked["media"] == 0
    assert asked.requests <= 10, asked.counts


def test_ls_l_costs_one_request_a_thousand_names(lake):
    for i in range(N):
        lake.put(f"d/{i:05}", b"x")
    mount = lake.mount(replicas=[])
    os.stat(mount / "d")
    with Asked(lake.record) as asked:
        out = subprocess.run(["ls", "-l", mount / "d"], check=True,
                             capture_output=True, text=True).stdout
    assert len(out.splitlines()) == N + 1
    assert asked.requests <= N // 1000 + 2, asked.counts
    with Asked(lake.record) as again:
        subprocess.run(["ls", "-l", mount / "d"], check=True,
                       stdout=subprocess.DEVNULL)
    assert again.requests <= N // 1000 + 2, again.counts


def test_find_costs_one_request_a_directory(lake):
    for d in range(20):
        for f in range(5):
            lake.put(f"top/{d}/{f}", b"x")
    mount = lake.mount(replicas=[])
    with Asked(lake.record) as asked:
        out = subprocess.run(["find", mount / "top", "-size", "-9"],
                             check=True, capture_output=True, text=True).stdout
    assert len(out.splitlines()) == 121
    assert asked.requests <= 21 + 3, asked.counts


def test_stat_again_within_the_ttl_costs_nothing(lake):
    lake.put("d/f.bin")
    mount = lake.mount(replicas=[], names_ttl="60s")
    os.stat(mount / "d/f.bin")
    with Asked(lake.record) as asked:
        for _ in range(100):
            os.stat(mount / "d/f.bin")
    assert asked.requests == 0, asked.counts


def test_a_replica_gives_the_bytes_and_the_record_one_answer(lake):
    for i in range(10):
        lake.put(f"{i}.bin")
        lake.copy(f"{i}.bin")
    mount = lake.mount(replicas=["dc1"])
    with Asked(lake.record) as record, Asked(lake.dc1) as dc1:
        for i in range(10):
            lake.check(f"{i}.bin", read(mount / f"{i}.bin"))
    assert record["media"] <= 1
    assert record.requests <= 12, record.counts
    assert dc1["media"] >= 9


def test_a_big_sequential_read_fetches_each_byte_once(lake):
    lake.put("f.bin", size=8 * BIG)
    mount = lake.mount(replicas=[])
    with Asked(lake.record) as asked:
        lake.check("f.bin", read(mount / "f.bin"))
    assert asked["media_bytes"] <= 8 * BIG * 1.1
    assert asked["media"] <= 60, asked.counts


def test_scattered_small_reads_fetch_little_more_than_asked(lake):
    lake.put("f.bin", size=8 * BIG)
    mount = lake.mount(replicas=[])
    wanted = 0
    with Asked(lake.record) as asked:
        fd = os.open(mount / "f.bin", os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        for i in range(40):
            wanted += len(os.pread(fd, 4 * KIB, (i * 7919 % 6000) * 4 * KIB))
        os.close(fd)
    assert asked["media_bytes"] <= wanted * 20, asked.counts


def test_a_listing_brings_all_that_an_immutable_open_needs(lake):
    lake.put("t/_delta_log/00000000000000000000.json")
    for i in range(20):
        lake.put(f"t/{i}.parquet")
    mount = lake.mount(replicas=[])
    os.listdir(mount / "t/_delta_log")
    os.listdir(mount / "t")
    with Asked(lake.record) as asked:
        for i in range(20):
            read(mount / f"t/{i}.parquet")
    assert asked["media"] == 20
    assert asked.requests == 20, asked.counts


def test_the_mount_itself_costs_a_request_or_two(lake):
    with Asked(lake.record) as asked:
        mount = lake.mount(replicas=[])
        os.stat(mount.path)
    assert asked.requests <= 3, asked.counts


def test_xattrs_nobody_set_cost_nothing(lake):
    lake.put("f.bin")
    mount = lake.mount(replicas=[], names_ttl="60s")
    os.stat(mount / "f.bin")
    with Asked(lake.record) as asked:
        for key in ("security.capability", "system.posix_acl_access",
                    "user.other"):
            try:
                os.getxattr(mount / "f.bin", key)
            except OSError:
                pass
    assert asked.requests == 0
