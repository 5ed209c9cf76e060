"""The freshness classes: what a path's lookups and opens may assume."""

import errno
import os
import time

import pytest

from lake import KIB, errno_of, read

LOG = "t/_delta_log/"


def commit(n):
    return f"{LOG}{n:020}.json"


@pytest.mark.smoke
def test_strict_sees_another_writers_commit_at_once(lake):
    lake.put(commit(0))
    lake.put("t/part-0.parquet")
    mount = lake.mount(replicas=[])
    for n in range(1, 8):
        # A negative answer first, as Trino and Delta ask for it.
        assert errno_of(os.stat, mount / commit(n)) == errno.ENOENT
        lake.put(commit(n), size=100 + n)
        assert os.stat(mount / commit(n)).st_size == 100 + n
        lake.check(commit(n), read(mount / commit(n)))


def test_strict_readdir_sees_a_commit_after_its_100_ms(lake):
    lake.put(commit(0))
    mount = lake.mount(replicas=[])
    for n in range(1, 6):
        assert len(os.listdir(mount / LOG)) == n
        lake.put(commit(n))
        time.sleep(0.11)
        assert len(os.listdir(mount / LOG)) == n + 1
        lake.record.delete(commit(n))
        time.sleep(0.11)
        assert len(os.listdir(mount / LOG)) == n
        lake.put(commit(n))
        time.sleep(0.11)


def test_strict_stat_sees_an_overwrite_and_a_delete(lake):
    name = LOG + "_last_checkpoint"
    lake.put(name, size=10)
    mount = lake.mount(replicas=[])
    for size in (20, 30, 40):
        os.stat(mount / name)
        lake.put(name, size=size)
        time.sleep(0.11)  # a listing answers for its names so long
        assert os.stat(mount / name).st_size == size
        lake.check(name, read(mount / name))
    lake.record.delete(name)
    assert errno_of(os.stat, mount / name) == errno.ENOENT


@pytest.mark.parametrize("directory", ["t/.hoodie/", "t/metadata/"])
def test_strict_is_the_preset_of_hudi_and_iceberg(lake, directory):
    lake.put(directory + "v1.metadata.json")
    lake.put("t/data/x.parquet")
    mount = lake.mount(replicas=[])
    name = directory + "v2.metadata.json"
    assert errno_of(os.stat, mount / name) == errno.ENOENT
    lake.put(name)
    assert os.stat(mount / name).st_size == 4 * KIB
    assert mount.xattr(name, "class") == "strict"


def test_open_is_close_to_open(lake):
    lake.put("d/f.bin")
    mount = lake.mount(replicas=[])
    for _ in range(10):
        lake.put("d/f.bin")
        lake.check("d/f.bin", read(mount / "d/f.bin"))
    assert mount.xattr("d/f.bin", "class") == "open"


def test_open_after_a_stat_asks_again(lake):
    """What stat(2) was told before the overwrite is not good for open(2)."""
    lake.put("d/f.bin")
    mount = lake.mount(replicas=[])
    for _ in range(20):
        os.stat(mount / "d/f.bin")
        os.stat(mount / "d/f.bin")
        lake.put("d/f.bin")
        lake.check("d/f.bin", read(mount / "d/f.bin"))
        time.sleep(0.05)
        os.listdir(mount / "d")
        lake.put("d/f.bin")
        lake.check("d/f.bin", read(mount / "d/f.bin"))


def test_open_sees_another_size_at_open(lake):
    lake.put("f.bin", size=100)
    mount = lake.mount(replicas=[])
    for size in (200, 50, 300 * KIB, 1, 0, 70):
        read(mount / "f.bin")
        lake.put("f.bin", size=size)
        with open(mount / "f.bin", "rb") as file:
            assert os.fstat(file.fileno()).st_size == size
            assert file.read() == lake.data("f.bin")


def test_open_sees_a_delete_at_open(lake):
    lake.put("f.bin")
    mount = lake.mount(replicas=[])
    read(mount / "f.bin")
    lake.record.delete("f.bin")
    assert errno_of(read, mount / "f.bin") == errno.ENOENT


def test_open_names_are_at_most_names_ttl_old(lake):
    lake.put("d/a")
    mount = lake.mount(replicas=[])
    assert os.listdir(mount / "d") == ["a"]
    assert errno_of(os.stat, mount / "d/b") == errno.ENOENT
    lake.put("d/b")
    time.sleep(1.1)
    assert os.stat(mount / "d/b").st_size == 4 * KIB
    assert sorted(os.listdir(mount / "d")) == ["a", "b"]
    lake.record.delete("d/a")
    time.sleep(1.1)
    assert errno_of(os.stat, mount / "d/a") == errno.ENOENT
    assert os.listdir(mount / "d") == ["b"]


def test_open_reads_its_page_cache_of_the_same_generation_only(lake):
    lake.put("f.bin", size=256 * KIB)
    mount = lake.mount(replicas=[])
    for _ in range(5):
        lake.check("f.bin", read(mount / "f.bin"))
        lake.check("f.bin", read(mount / "f.bin"))
        lake.put("f.bin", size=256 * KIB)
        lake.check("f.bin", read(mount / "f.bin"))


def test_immutable_asks_nobody_after_a_listing(lake):
    lake.put(commit(0))
    names = [f"t/part-{i}.parquet" for i in range(5)]
    for name in names:
        lake.put(name)
        lake.copy(name)
    mount = lake.mount(replicas=["dc1"])
    os.listdir(mount / "t")
    os.listdir(mount / LOG)
    os.listdir(mount / "t")
    before = lake.record.server.counters()
    for name in names:
        lake.check(name, read(mount / name))
        assert mount.xattr(name, "class") == "immutable"
    assert (lake.record.server.counters() - before).requests == 0


def test_immutable_is_for_data_files_of_a_table_only(lake):
    lake.put("lone/report.parquet")
    mount = lake.mount(replicas=[])
    for _ in range(3):
        lake.check("lone/report.parquet", read(mount / "lone/report.parquet"))
        lake.put("lone/report.parquet")
    assert mount.xattr("lone/report.parquet", "class") == "open"


def test_immutable_by_a_rule_and_a_newer_listing_replaces_it(lake):
    lake.put("pool/a.bin", size=100)
    mount = lake.mount(replicas=[], classes=[
        {"match": "pool/**", "class": "immutable"}])
    lake.check("pool/a.bin", read(mount / "pool/a.bin"))
    before = lake.record.server.counters()
    for _ in range(5):
        read(mount / "pool/a.bin")
    assert (lake.record.server.counters() - before).requests == 0
    assert mount.xattr("pool/a.bin", "class") == "immutable"


def test_bounded_is_at_most_t_old(lake):
    lake.put("ref/a.bin")
    mount = lake.mount(replicas=[], classes=[
        {"match": "ref/**", "class": "bounded", "seconds": 2}])
    lake.check("ref/a.bin", read(mount / "ref/a.bin"))
    before = lake.record.server.counters()
    for _ in range(5):
        read(mount / "ref/a.bin")
    assert (lake.record.server.counters() - before).requests == 0
    lake.put("ref/a.bin")
    time.sleep(2.1)
    lake.check("ref/a.bin", read(mount / "ref/a.bin"))
    assert mount.xattr("ref/a.bin", "class") == "bounded"


def test_bounded_with_a_long_t_asks_nobody(lake):
    lake.put("ref/a.bin")
    mount = lake.mount(replicas=[], classes=[
        {"match": "**/nothing", "class": "strict"},
        {"match": "ref/**", "class": "bounded", "seconds": 600}])
    lake.check("ref/a.bin", read(mount / "ref/a.bin"))
    old = lake.data("ref/a.bin")
    lake.put("ref/a.bin")
    assert read(mount / "ref/a.bin") == old


def test_a_rule_of_the_user_goes_before_the_presets(lake):
    lake.put(commit(0))
    mount = lake.mount(replicas=[], classes=[
        {"match": "t/_delta_log/**", "class": "bounded", "seconds": 600}])
    assert os.stat(mount / commit(0)).st_size
    assert mount.xattr(commit(0), "class") == "bounded"


def test_two_mounts_agree_on_a_new_version_at_once(lake):
    lake.put("f.bin")
    one = lake.mount(replicas=[])
    two = lake.mount(replicas=["dc1"])
    for _ in range(10):
        lake.put("f.bin")
        lake.copy("f.bin", how="exact" if lake.n % 2 else "stale")
        for mount in (one, two):
            lake.check("f.bin", read(mount / "f.bin"))


def test_replicas_say_nothing_about_names(lake):
    """Orphans of a copier are in nobody's tree."""
    lake.put("d/real")
    lake.copy("d/real")
    lake.dc1.put("d/orphan", b"left behind", stamp=12345)
    lake.dc1.put("only/there", b"left behind")
    mount = lake.mount(replicas=["dc1"])
    assert os.listdir(mount.path) == ["d"]
    assert os.listdir(mount / "d") == ["real"]
    assert errno_of(os.stat, mount / "d/orphan") == errno.ENOENT
    assert errno_of(os.stat, mount / "only/there") == errno.ENOENT


def test_namespace_union_shows_orphans_and_marks_them(lake):
    lake.put("d/real")
    lake.copy("d/real")
    lake.dc1.put("d/orphan", b"left behind")
    lake.dc1.put("only/there", b"as well")
    mount = lake.mount(replicas=["dc1"], namespace="union")
    assert sorted(os.listdir(mount.path)) == ["d", "only"]
    assert sorted(os.listdir(mount / "d")) == ["orphan", "real"]
    assert read(mount / "d/orphan") == b"left behind"
    assert read(mount / "only/there") == b"as well"
    assert mount.xattr("d/orphan", "orphan") == "dc1"
    assert errno_of(mount.xattr, "d/real", "orphan") == errno.ENODATA
    assert errno_of(os.unlink, mount / "d/orphan") == errno.EROFS
