"""P4: a bad site costs latency only; all bad sites cost an errno, in time."""

import errno
import os
import signal
import subprocess
import time

import pytest

from lake import (BIG, BOUND, KIB, Overdue, errno_of, eventually, read,
                  within)

FAULTS = {
    "hang": {"hang": True},
    "drip": {"drip_bps": 300},
    "stall": {"stall_after_bytes": 1000},
    "cut": {"cut_after_bytes": 1000},
    "cut_late": {"cut_after_bytes": 700 * KIB},
    "reset": {"reset": True},
    "429": {"status": 429, "retry_after_s": 1},
    "500": {"status": 500},
    "503": {"status": 503},
    "403": {"status": 403},
    "html": {"html": True},
    "short_body": {"short_body": True},
    "wrong_range": {"wrong_range": True},
    "ignore_range": {"ignore_range": True},
    "half_503": {"status": 503, "status_rate": 0.5},
}
SIZES = pytest.mark.parametrize("size", [4 * KIB, BIG], ids=["small", "big"])
UNANSWERED = (errno.EIO, errno.ETIMEDOUT)


@SIZES
@pytest.mark.parametrize("fault", FAULTS)
def test_p4_a_bad_replica_costs_latency_only(lake, fault, size):
    for name in ("warm.bin", "f.bin"):
        lake.put(name, size=size)
        lake.copy(name, "dc1")
        lake.copy(name, "dc2")
    mount = lake.mount()
    read(mount / "warm.bin")
    lake.dc1.server.faults(FAULTS[fault])
    lake.check("f.bin", within(BOUND, read, mount / "f.bin"))


@SIZES
@pytest.mark.parametrize("fault", ["hang", "cut", "503", "wrong_range"])
def test_p4_only_the_record_is_left(lake, fault, size):
    lake.put("f.bin", size=size)
    lake.copy("f.bin", "dc1")
    lake.copy("f.bin", "dc2")
    mount = lake.mount()
    os.stat(mount / "f.bin")
    lake.dc1.server.faults(FAULTS[fault])
    lake.dc2.server.faults(FAULTS[fault])
    lake.check("f.bin", within(BOUND, read, mount / "f.bin"))


@pytest.mark.parametrize("fault", ["cut", "reset", "500", "503", "429",
                                   "wrong_range", "short_body"])
def test_p4_a_record_that_recovers_is_asked_again(lake, fault):
    """No replica at all: trying again is the only way."""
    lake.put("f.bin", size=BIG)
    mount = lake.mount(replicas=[])
    os.stat(mount / "f.bin")
    lake.record.server.faults({**FAULTS[fault], "count": 2,
                               "match": "alt=media"})
    lake.check("f.bin", within(BOUND, read, mount / "f.bin"))


def test_p4_the_record_answers_for_another_generation(lake):
    """A cache in between that ignores generation=: no byte of it is served."""
    lake.put("f.bin", size=BIG)
    lake.copy("f.bin", "dc1")
    mount = lake.mount(replicas=["dc1"], here="record")
    os.stat(mount / "f.bin")
    lake.record.server.faults({"wrong_generation": True,
                               "match": "alt=media"})
    lake.check("f.bin", within(BOUND, read, mount / "f.bin"))


@SIZES
@pytest.mark.parametrize("fault", ["hang", "reset", "503", "html", "drip"])
def test_p4_no_site_at_all_is_an_errno_in_time(lake, fault, size):
    lake.put("f.bin", size=size)
    lake.copy("f.bin", "dc1")
    mount = lake.mount(replicas=["dc1"], op_timeout="1s")
    os.listdir(mount.path)
    fd = os.open(mount / "f.bin", os.O_RDONLY)
    for site in (lake.record, lake.dc1):
        site.server.faults(FAULTS[fault])
    assert within(BOUND, errno_of, os.pread, fd, 1000, 0) in UNANSWERED
    assert within(BOUND, errno_of, read, mount / "f.bin") in UNANSWERED
    os.close(fd)
    for site in (lake.record, lake.dc1):
        site.server.heal()
    eventually("recovery", lambda: within(
        BOUND, errno_of, read, mount / "f.bin") == 0)
    lake.check("f.bin", read(mount / "f.bin"))


def test_p4_a_dead_replica_process_costs_latency_only(lake):
    lake.put("f.bin", size=BIG)
    lake.copy("f.bin", "dc1")
    mount = lake.mount(replicas=["dc1"])
    os.stat(mount / "f.bin")
    lake.dc1.server.kill()
    lake.check("f.bin", within(BOUND, read, mount / "f.bin"))


def test_p4_a_frozen_replica_process_costs_latency_only(lake):
    lake.put("f.bin", size=BIG)
    lake.copy("f.bin", "dc1")
    mount = lake.mount(replicas=["dc1"])
    os.stat(mount / "f.bin")
    lake.dc1.server.freeze()
    lake.check("f.bin", within(BOUND, read, mount / "f.bin"))


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_p4_a_blocked_reader_dies_at_once(lake, name):
    lake.put("f.bin", size=BIG)
    mount = lake.mount(replicas=[], op_timeout="120s")
    os.stat(mount / "f.bin")
    lake.record.server.faults({"hang": True, "match": "alt=media"})
    reader = subprocess.Popen(["cat", mount / "f.bin"],
                              stdout=subprocess.DEVNULL)
    before = lake.record.server.counters()
    time.sleep(0.5)
    assert reader.poll() is None, before
    reader.send_signal(getattr(signal, name))
    assert reader.wait(20) < 0


def test_p4_stat_of_a_hung_record_is_interrupted_too(lake):
    mount = lake.mount(replicas=[], op_timeout="120s")
    lake.record.server.faults({"hang": True})
    child = subprocess.Popen(["stat", mount / "nothing"],
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    assert child.poll() is None
    child.kill()
    assert child.wait(20) < 0


def test_p4_umount_does_not_wait_for_a_hung_site(lake):
    lake.put("f.bin", size=BIG)
    mount = lake.mount(replicas=[], op_timeout="120s")
    os.stat(mount / "f.bin")
    lake.record.server.faults({"hang": True, "match": "alt=media"})
    reader = subprocess.Popen(["cat", mount / "f.bin"],
                              stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    reader.kill()
    reader.wait(20)
    mount.stop()


def test_p4_a_broken_site_is_left_alone_and_tried_again(lake):
    names = [f"n/{i:03}.bin" for i in range(80)]
    for name in names:
        lake.put(name)
        lake.copy(name, "dc1")
    mount = lake.mount(replicas=["dc1"])
    os.listdir(mount / "n")
    lake.dc1.server.faults({"status": 503})
    before = lake.dc1.server.counters()
    for name in names[:50]:
        lake.check(name, within(BOUND, mount.read, name))
    asked = (lake.dc1.server.counters() - before).requests
    assert asked < 40, f"{asked} requests to a site that always says 503"
    site = next(s for s in mount.status()["sites"] if s["name"] == "dc1")
    assert site["broken"], site
    lake.dc1.server.heal()
    rest = iter(names[50:] * 100)

    def used_again():
        name = next(rest)
        lake.put(name)
        lake.copy(name, "dc1")
        lake.check(name, mount.read(name))
        return mount.site(name) == "dc1"

    eventually("use of a site that works again", used_again)


@pytest.mark.parametrize("fault", ["503", "cut", "reset"])
def test_p4_twin_without_failover_the_read_fails(lake, fault):
    lake.put("f.bin", size=BIG)
    lake.copy("f.bin", "dc1")
    mount = lake.mount(replicas=["dc1"], unsafe=["failover"], op_timeout="3s")
    os.stat(mount / "f.bin")
    lake.dc1.server.faults(FAULTS[fault])
    try:
        assert within(BOUND, errno_of, read, mount / "f.bin") != 0
    except Overdue:
        pass
