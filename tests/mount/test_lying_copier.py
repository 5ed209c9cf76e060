"""
100,000 reads of files that are overwritten in the record while a copier brings
them to the replicas late, out of order, torn, under wrong stamps: not one
wrong byte, and never a version older than the one acknowledged before open.
"""

import errno
import multiprocessing
import os
import random
import threading
import time

import pytest

from content import version_of, what_is_wrong
from lake import BIG, KIB, SLOW

N_READS = int(os.environ.get("LAKEFUSE_READS", 20_000 if SLOW else 100_000))
N_READERS = 4
READS_AN_OPEN = 12
# Lies about whole, checked objects; big ones get those a proof finds out.
SMALL_LIES = ["exact", "exact", "exact", "unstamped", "stale", "torn",
              "longer", "stale_unstamped", "composed", "stale_composed",
              "wrong_stamp", "corrupt", "newer", "absent"]
BIG_LIES = [lie for lie in SMALL_LIES if lie not in ("wrong_stamp", "corrupt")]


def sizes():
    """Objects and their sizes; every version of one has the same size."""
    table = {f"small/{i:02}.bin": (2 + i * 3) * KIB for i in range(30)}
    table.update({f"t/part-{i}.bin": (100 + i * 90) * KIB for i in range(8)})
    table.update({f"big/{i}.bin": BIG + i * 1000 for i in range(4)})
    return table


def reader(path, seed, n_reads, acked, results):
    """Checks pieces of files; reports (reads, stale handles, first errors)."""
    table = list(sizes().items())
    dice = random.Random(seed)
    n = n_stale = 0
    wrong = []
    while n < n_reads and len(wrong) < 5:
        i = dice.randrange(len(table))
        name, size = table[i]
        at_least = acked[i]
        try:
            fd = os.open(os.path.join(path, name), os.O_RDONLY)
        except OSError as error:
            wrong.append(f"open {name}: {error}")
            continue
        version = None
        for _ in range(READS_AN_OPEN):
            length = dice.randrange(2 * KIB, 64 * KIB)
            offset = dice.randrange(0, max(1, size - 64))
            try:
                data = os.pread(fd, length, offset)
            except OSError as error:
                if error.errno == errno.ESTALE:
                    n_stale += 1
                else:
                    wrong.append(f"{name}: {error}")
                break
            n += 1
            if len(data) < min(length, size - offset):
                # The kernel gives what came before a page that is stale.
                try:
                    os.pread(fd, 1, offset + len(data))
                    wrong.append(f"{name}: a short read at {offset}: "
                                 f"{len(data)} of {length}")
                except OSError as error:
                    if error.errno != errno.ESTALE:
                        wrong.append(f"{name}: {error}")
                n_stale += 1
            claimed = version_of(data, offset)
            version = version or claimed
            if version < at_least:
                wrong.append(f"{name}: version {version}, but {at_least} was "
                             "acknowledged before open")
            what = what_is_wrong(name, size, offset, data, version)
            if what:
                wrong.append(f"{what} in {len(data)} bytes at {offset} of "
                             f"a handle on version {version}")
        os.close(fd)
    results.put((n, n_stale, wrong))


def writer(lake, acked, stop, failed):
    """Overwrites in the record, one version after the other."""
    table = list(sizes())
    dice = random.Random(1)
    try:
        while not stop.is_set():
            i = dice.randrange(len(table))
            lake.put(table[i], size=sizes()[table[i]])
            acked[i] = len(lake.history[table[i]])
            stop.wait(0.02)
    except BaseException as error:
        failed.append(error)


def copier(lake, site, seed, stop, failed):
    """Somebody else's sync engine, on a bad day."""
    table = list(sizes())
    dice = random.Random(seed)
    try:
        while not stop.is_set():
            name = dice.choice(table)
            how = dice.choice(BIG_LIES if name.startswith("big")
                              else SMALL_LIES)
            n = len(lake.history[name])
            if site == "dc2" and "composed" in how:
                how = "stale"
            version = n - 1 - (dice.randrange(3) if dice.random() < 0.3 else 0)
            if version >= 1:
                lake.copy(name, site, how, version)
            stop.wait(0.01)
    except BaseException as error:
        failed.append(error)


def storm(lake, n_reads, **options):
    table = sizes()
    for name, size in table.items():
        lake.put(name, size=size)
        lake.copy(name, "dc1")
    mount = lake.mount(cache={"size": "48MiB"}, **options)
    lake.far_record(8)
    fork = multiprocessing.get_context("fork")
    acked = fork.Array("Q", [1] * len(table), lock=False)
    results = fork.Queue()
    readers = [fork.Process(target=reader, args=(
        str(mount.path), i, n_reads // N_READERS, acked, results), daemon=True)
        for i in range(N_READERS)]
    for process in readers:
        process.start()
    stop, failed = threading.Event(), []
    work = [threading.Thread(target=writer, args=(lake, acked, stop, failed))]
    work += [threading.Thread(target=copier, args=(lake, site, i, stop, failed))
             for i, site in enumerate(("dc1", "dc2"))]
    for thread in work:
        thread.start()
    try:
        answers = [results.get(timeout=600) for _ in readers]
    finally:
        stop.set()
        for thread in work:
            thread.join(60)
        for process in readers:
            process.join(5)
            process.kill()
    assert not failed, failed
    return mount, answers


@pytest.mark.watchdog(1200)
def test_lying_copier(lake):
    begin = time.monotonic()
    mount, answers = storm(lake, N_READS)
    wrong = [w for _, _, errors in answers for w in errors]
    assert not wrong, wrong[:5]
    n = sum(reads for reads, _, _ in answers)
    status = mount.status()
    by_site = {site["name"]: site["read_bytes"] for site in status["sites"]}
    print(f"{n} reads in {time.monotonic() - begin:.0f} s, "
          f"{sum(stale for _, stale, _ in answers)} stale handles, "
          f"{sum(map(len, lake.history.values()))} versions, {by_site}, "
          f"{[site['refused'] for site in status['sites']]}")
    assert n >= N_READS * 0.99
    assert by_site["dc1"] > 0 and by_site["dc2"] > 0
    assert mount.refused("stale") > 0 and mount.refused("torn") > 0


def test_lying_copier_twin_without_protections_reads_wrong_bytes(lake):
    _, answers = storm(lake, 8_000, unsafe=["proof", "crc", "validator"])
    assert any(errors for _, _, errors in answers)
