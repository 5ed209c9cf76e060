"""P7: without the record, immutable and pinned go on; others say ETIMEDOUT."""

import errno
import os

import pytest

from lake import BIG, BOUND, KIB, errno_of, eventually, read, within

LOST = pytest.mark.parametrize("lose", ["freeze", "kill"])
TABLE = "t/part-0.parquet"


def table(lake):
    lake.put("t/_delta_log/00000000000000000000.json")
    for name in (TABLE, "t/part-1.parquet", "plain.bin"):
        lake.put(name, size=BIG)
        lake.copy(name)
        lake.copy(name, "dc2")


def look(mount):
    """What an engine did before the record went away."""
    for directory, _, names in os.walk(mount.path):
        for name in names:
            os.stat(os.path.join(directory, name))


def lose_it(lake, how):
    getattr(lake.record.server, how)()


def bring_back(lake, how):
    server = lake.record.server
    server.thaw() if how == "freeze" else server.start()


@LOST
def test_p7_immutable_and_pinned_go_on_from_replicas(lake, lose):
    table(lake)
    mount = lake.mount(op_timeout="3s")
    look(mount)
    fd = os.open(mount / "plain.bin", os.O_RDONLY)
    os.pread(fd, 10, 0)
    lose_it(lake, lose)
    lake.check(TABLE, within(BOUND, read, mount / TABLE))
    for offset in range(0, BIG, 256 * KIB):
        piece = within(BOUND, os.pread, fd, 256 * KIB, offset)
        assert piece == lake.data("plain.bin")[offset:offset + 256 * KIB]
    os.close(fd)


@LOST
def test_p7_other_opens_fail_with_etimedout_in_time(lake, lose):
    table(lake)
    mount = lake.mount(op_timeout="3s")
    look(mount)
    lose_it(lake, lose)
    assert within(BOUND, errno_of, read, mount / "plain.bin") == \
        errno.ETIMEDOUT
    assert within(BOUND, errno_of, os.stat, mount / "never/seen") == \
        errno.ETIMEDOUT


@LOST
def test_p7_all_is_well_again_when_the_record_is_back(lake, lose):
    table(lake)
    mount = lake.mount(op_timeout="3s")
    look(mount)
    lose_it(lake, lose)
    assert within(BOUND, errno_of, read, mount / "plain.bin")
    bring_back(lake, lose)
    eventually("recovery", lambda: within(
        BOUND, errno_of, read, mount / "plain.bin") == 0)
    lake.put("plain.bin", size=BIG)
    lake.check("plain.bin", within(BOUND, read, mount / "plain.bin"))


@LOST
def test_p7_serve_last_known_is_marked(lake, lose):
    table(lake)
    mount = lake.mount(op_timeout="3s", on_record_loss="serve-last-known")
    look(mount)
    assert errno_of(mount.xattr, "plain.bin", "stale_since") == errno.ENODATA
    lose_it(lake, lose)
    lake.check("plain.bin", within(BOUND, read, mount / "plain.bin"))
    assert within(BOUND, mount.xattr, "plain.bin", "stale_since")
    status = mount.status()
    assert status["meta"]["record_lost"], status["meta"]
    assert status["metrics"]["stale_served"] >= 1
    assert sorted(within(BOUND, os.listdir, mount / "t")) == [
        "_delta_log", "part-0.parquet", "part-1.parquet"]
    bring_back(lake, lose)
    lake.put("plain.bin", size=BIG)
    eventually("the new version", lambda: within(
        BOUND, read, mount / "plain.bin") == lake.data("plain.bin"))
    eventually("the mark to go", lambda: errno_of(
        mount.xattr, "plain.bin", "stale_since") == errno.ENODATA)
    assert not mount.status()["meta"]["record_lost"]


def test_p7_serve_last_known_never_serves_an_unproven_copy(lake):
    lake.put("f.bin", size=BIG)
    lake.put("f.bin", size=BIG)
    lake.copy("f.bin", how="stale")
    lake.copy("f.bin", "dc2", "stale_unstamped")
    mount = lake.mount(op_timeout="3s", on_record_loss="serve-last-known")
    look(mount)
    lake.record.server.kill()
    assert within(BOUND, errno_of, read, mount / "f.bin") in (
        errno.ETIMEDOUT, errno.EIO, errno.ESTALE)


def test_p7_a_remount_without_the_record_serves_last_known(lake):
    table(lake)
    mount = lake.mount(op_timeout="3s", on_record_loss="serve-last-known")
    look(mount)
    mount.stop()
    lake.record.server.kill()
    mount.start()
    lake.check("plain.bin", within(BOUND, read, mount / "plain.bin"))


def test_p7_umount_without_the_record_is_quick(lake):
    table(lake)
    mount = lake.mount(op_timeout="120s")
    look(mount)
    lake.record.server.freeze()
    mount.stop()


def test_p7_a_replica_that_is_lost_is_hardly_noticed(lake):
    table(lake)
    mount = lake.mount(op_timeout="3s")
    look(mount)
    lake.dc1.server.kill()
    lake.dc2.server.freeze()
    lake.check("plain.bin", within(BOUND, read, mount / "plain.bin"))
