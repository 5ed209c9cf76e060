"""The cache: survives what it should, and is bounded by its options."""

import os
import subprocess
import threading

import pytest

from lake import BIG, BOUND, KIB, MIB, SLOW, read, within

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def disk_bytes(directory):
    return sum(f.stat().st_blocks * 512 for f in directory.rglob("*")
               if f.is_file())


@pytest.mark.smoke
def test_the_cache_survives_a_remount(lake):
    names = ["small.bin", "big.bin"]
    lake.put("small.bin")
    lake.put("big.bin", size=2 * BIG)
    mount = lake.mount(replicas=[])
    for name in names:
        read(mount / name)
    mount.restart()
    before = lake.record.server.counters()
    for name in names:
        lake.check(name, read(mount / name))
    assert (lake.record.server.counters() - before)["media"] == 0


@pytest.mark.parametrize("replicas", [[], ["dc1"]], ids=["alone", "dc1"])
def test_kill_9_and_a_remount_read_right_bytes(lake, replicas):
    for i in range(10):
        lake.put(f"{i}.bin", size=BIG if i % 2 else 60 * KIB)
        lake.copy(f"{i}.bin")
    mount = lake.mount(replicas=replicas)
    for turn in range(4):
        stop = threading.Event()

        def reader():
            while not stop.is_set():
                for i in range(10):
                    try:
                        read(mount / f"{i}.bin")
                    except OSError:
                        return

        threads = [threading.Thread(target=reader) for _ in range(3)]
        for thread in threads:
            thread.start()
        stop.wait(0.15 * (turn + 1))
        mount.kill()
        stop.set()
        for thread in threads:
            thread.join(BOUND)
        lake.put(f"{turn}.bin", size=60 * KIB)
        mount.start()
        for i in range(10):
            lake.check(f"{i}.bin", within(BOUND, read, mount / f"{i}.bin"))


def test_garbage_in_the_state_is_no_harm(lake):
    lake.put("f.bin", size=BIG)
    mount = lake.mount(replicas=[])
    read(mount / "f.bin")
    mount.stop()
    for path in mount.state.rglob("*"):
        if path.is_file():
            path.write_bytes(b"\xa5garbage" * 1000)
    mount.start()
    lake.check("f.bin", read(mount / "f.bin"))
    mount.restart()
    lake.check("f.bin", read(mount / "f.bin"))


def test_the_state_of_another_bucket_is_not_believed(make_lake):
    """Same names, other lake: not one byte or name of it is shown."""
    one, two = make_lake(), make_lake()
    one.put("f.bin")
    one.put("only-one.bin")
    two.put("f.bin", b"the other lake's")
    mount = one.mount(replicas=[])
    os.listdir(mount.path)
    read(mount / "f.bin")
    mount.stop()
    other = two.mount(replicas=[], state=str(mount.state))
    assert read(other / "f.bin") == b"the other lake's"
    assert os.listdir(other.path) == ["f.bin"]


def test_the_disk_limit_holds(lake):
    names = [f"{i}.bin" for i in range(20)]
    for name in names:
        lake.put(name, size=BIG)
    limit = 16 * MIB
    mount = lake.mount(replicas=[], cache={"size": "16MiB"})
    for name in names + names[:5]:
        lake.check(name, read(mount / name))
        assert disk_bytes(mount.state / "cache") <= limit * 1.5 + 8 * MIB
    assert mount.metric("cache_evicted_bytes") > 0
    mount.restart()
    assert disk_bytes(mount.state / "cache") <= limit * 1.2
    lake.check(names[0], read(mount / names[0]))


def test_eviction_under_open_handles_reads_right(lake):
    for i in range(8):
        lake.put(f"{i}.bin", size=2 * BIG)
    mount = lake.mount(replicas=[], cache={"size": "8MiB"})
    files = [open(mount / f"{i}.bin", "rb", buffering=0) for i in range(8)]
    for offset in range(0, 2 * BIG, 512 * KIB):
        for i, file in enumerate(files):
            want = lake.data(f"{i}.bin")[offset:offset + 512 * KIB]
            assert os.pread(file.fileno(), 512 * KIB, offset) == want
    for file in files:
        file.close()


@pytest.mark.skipif(SLOW, reason="sanitizers need memory of their own")
def test_the_memory_limit_holds(lake):
    """Many handles at once read more than memory may hold."""
    for i in range(16):
        lake.put(f"{i}.bin", size=4 * BIG)
    mount = lake.mount(replicas=[], cache={"size": "1GiB", "memory": "16MiB"})
    bad = []

    def reader(i):
        data = read(mount / f"{i}.bin")
        if data != lake.data(f"{i}.bin"):
            bad.append(i)

    threads = [threading.Thread(target=reader, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BOUND * 2)
    assert not bad
    assert not any(thread.is_alive() for thread in threads)
    assert mount.rss_kib("VmHWM") < 112 * KIB, mount.rss_kib("VmHWM")


@root_only
@pytest.mark.parametrize("size", ["2m", "6m"])
def test_a_full_disk_costs_the_cache_only(lake, size):
    for i in range(6):
        lake.put(f"{i}.bin", size=BIG)
    small = lake.dir / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs",
                    small], check=True)
    try:
        mount = lake.mount(replicas=[], state=str(small / "state"),
                           cache={"size": "1GiB"})
        for turn in range(2):
            for i in range(6):
                lake.check(f"{i}.bin",
                           within(BOUND, read, mount / f"{i}.bin"))
        assert mount.metric("cache_write_failures") > 0 or \
            mount.metric("cache_evicted_bytes") > 0
        mount.stop()
        mount.start()
        lake.check("0.bin", within(BOUND, read, mount / "0.bin"))
        mount.stop()
    finally:
        lake.abort()
        subprocess.run(["umount", "-l", small], check=True)


@root_only
def test_cache_files_deleted_under_us_are_no_harm(lake):
    lake.put("a.bin", size=BIG)
    lake.put("b.bin", size=BIG)
    small = lake.dir / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", small],
                   check=True)
    try:
        mount = lake.mount(replicas=[], state=str(small / "state"))
        lake.check("a.bin", read(mount / "a.bin"))
        for path in (small / "state" / "cache").rglob("*"):
            if path.is_file():
                path.unlink()
        lake.check("a.bin", within(BOUND, read, mount / "a.bin"))
        lake.check("b.bin", within(BOUND, read, mount / "b.bin"))
        mount.stop()
    finally:
        lake.abort()
        subprocess.run(["umount", "-l", small], check=True)


def test_what_is_on_disk_is_private(lake):
    lake.put("f.bin")
    mount = lake.mount(replicas=[])
    read(mount / "f.bin")
    for path in [mount.state, *mount.state.rglob("*")]:
        if path.is_dir() or path.is_file():
            assert path.stat().st_mode & 0o077 == 0 or any(
                p.stat().st_mode & 0o077 == 0 for p in path.parents
                if mount.state in (p, *p.parents)), path


def test_a_new_generation_replaces_the_cached_one_on_disk(lake):
    lake.put("f.bin", size=BIG)
    mount = lake.mount(replicas=[], cache={"size": "8MiB"})
    for _ in range(6):
        lake.check("f.bin", read(mount / "f.bin"))
        lake.put("f.bin", size=BIG)
    assert disk_bytes(mount.state / "cache") < 24 * MIB
