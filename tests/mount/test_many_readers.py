"""Many readers at once: right bytes, and each byte fetched about once."""

import os
import random
import threading

import pytest

from lake import BIG, BOUND, KIB, read


def run_all(n, work):
    """work(i) on n threads; returns what failed."""
    failed = []
    start = threading.Barrier(n)

    def body(i):
        try:
            start.wait(BOUND)
            work(i)
        except BaseException as error:
            failed.append(f"{i}: {error!r}")

    threads = [threading.Thread(target=body, args=(i,), daemon=True)
               for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BOUND * 2)
        if thread.is_alive():
            failed.append("a reader hangs")
            break
    return failed


@pytest.mark.smoke
@pytest.mark.parametrize("size", [64 * KIB, 2 * BIG], ids=["small", "big"])
def test_a_hundred_readers_of_one_object_fetch_it_once(lake, size):
    lake.put("f.bin", size=size)
    mount = lake.mount(replicas=[])
    lake.far_record(100)
    before = lake.record.server.counters()
    failed = run_all(100, lambda i: lake.check("f.bin", read(mount / "f.bin")))
    assert not failed, failed[:5]
    asked = lake.record.server.counters() - before
    assert asked["media_bytes"] <= size * 1.3, asked


def test_a_hundred_readers_of_fifty_objects_at_three_sites(lake):
    names = [f"d{i % 5}/{i}.bin" for i in range(50)]
    for i, name in enumerate(names):
        lake.put(name, size=(i % 7 + 1) * 40 * KIB)
        lake.copy(name, "dc1", ["exact", "unstamped", "absent", "torn"][i % 4])
        lake.copy(name, "dc2", ["exact", "absent", "corrupt"][i % 3])
    mount = lake.mount()

    def work(i):
        for name in random.Random(i).sample(names, 10):
            lake.check(name, read(mount / name))

    failed = run_all(100, work)
    assert not failed, failed[:5]


def test_scattered_readers_of_one_big_object(lake):
    size = 4 * BIG
    lake.put("f.bin", size=size)
    lake.copy("f.bin")
    mount = lake.mount()
    data = lake.data("f.bin")

    def work(i):
        dice = random.Random(i)
        fd = os.open(mount / "f.bin", os.O_RDONLY)
        for _ in range(40):
            offset = dice.randrange(size)
            length = dice.randrange(1, 100 * KIB)
            got = os.pread(fd, length, offset)
            assert got == data[offset:offset + length], (offset, length)
        os.close(fd)

    failed = run_all(32, work)
    assert not failed, failed[:5]
    read(mount / "f.bin")


def test_a_listing_while_many_look_up_its_names(lake):
    names = [f"{i:04}" for i in range(300)]
    for name in names:
        lake.put("d/" + name, size=100)
    mount = lake.mount(replicas=[], names_ttl="10ms")

    def work(i):
        for name in random.Random(i).sample(names, 10):
            if i % 3 == 0:
                assert sorted(os.listdir(mount / "d")) == names
            assert os.stat(mount / "d" / name).st_size == 100

    failed = run_all(24, work)
    assert not failed, failed[:5]
