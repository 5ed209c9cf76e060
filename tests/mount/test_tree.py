"""The tree as programs see it: read-only, stable, as gcsfuse would show it."""

import errno
import json
import os
import stat
import subprocess
import time

import pytest

from lake import BIG, KIB, errno_of, read

WRITES = {
    "open_w": lambda p: os.open(p / "f", os.O_WRONLY),
    "open_rw": lambda p: os.open(p / "f", os.O_RDWR),
    "open_append": lambda p: os.open(p / "f", os.O_WRONLY | os.O_APPEND),
    "open_trunc": lambda p: os.open(p / "f", os.O_RDONLY | os.O_TRUNC),
    "create": lambda p: os.open(p / "new", os.O_WRONLY | os.O_CREAT, 0o644),
    "create_excl": lambda p: os.open(
        p / "new", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644),
    "unlink": lambda p: os.unlink(p / "f"),
    "mkdir": lambda p: os.mkdir(p / "new"),
    "rmdir": lambda p: os.rmdir(p / "d"),
    "rename": lambda p: os.rename(p / "f", p / "g"),
    "rename_over": lambda p: os.rename(p / "f", p / "d/e"),
    "link": lambda p: os.link(p / "f", p / "g"),
    "symlink": lambda p: os.symlink("f", p / "g"),
    "mknod": lambda p: os.mknod(p / "new"),
    "mkfifo": lambda p: os.mkfifo(p / "new"),
    "chmod": lambda p: os.chmod(p / "f", 0o600),
    "chown": lambda p: os.chown(p / "f", 1, 1),
    "truncate": lambda p: os.truncate(p / "f", 1),
    "utimes": lambda p: os.utime(p / "f"),
    "setxattr": lambda p: os.setxattr(p / "f", "user.x", b"y"),
    "removexattr": lambda p: os.removexattr(p / "f", "user.x"),
}


@pytest.mark.smoke
def test_every_write_is_erofs_and_changes_nothing(lake):
    lake.put("f")
    lake.put("d/e")
    mount = lake.mount(replicas=[])
    before = lake.record.server.counters()
    answers = {name: errno_of(call, mount.path)
               for name, call in WRITES.items()}
    assert set(answers.values()) == {errno.EROFS}, {
        k: os.strerror(v) for k, v in answers.items() if v != errno.EROFS}
    asked = lake.record.server.counters() - before
    for kind in ("put", "resumable", "patch", "delete", "copy", "compose"):
        assert asked[kind] == 0
    assert sorted(os.listdir(mount.path)) == ["d", "f"]
    lake.check("f", read(mount / "f"))


def test_the_kernel_knows_that_it_is_read_only(lake):
    mount = lake.mount(replicas=[])
    with open("/proc/self/mountinfo") as info:
        line = next(x.split() for x in info if x.split()[4] == str(mount.path))
    assert "ro" in line[5].split(",")
    assert "fuse.lakefuse" in line
    assert os.access(mount.path, os.R_OK)
    assert not os.access(mount.path, os.W_OK)
    assert os.statvfs(mount.path).f_flag & os.ST_RDONLY


def test_xattrs_tell_what_a_file_is(lake):
    lake.put("d/f")
    mount = lake.mount(replicas=[])
    read(mount / "d/f")
    told = {key: os.getxattr(mount / "d/f", key).decode()
            for key in os.listxattr(mount / "d/f")}
    assert told["user.lake.generation"] == str(lake.generation("d/f"))
    assert told["user.lake.class"] == "open"
    assert told["user.lake.site"] == "record"
    assert told["user.lake.proof"] == "native"
    assert told["user.lake.storage_class"] == "STANDARD"
    assert len(told["user.lake.crc32c"]) in (8, 10)
    assert "user.lake.stale_since" not in told
    for name in ("user.lake.nonsense", "user.mine", "security.x"):
        assert errno_of(os.getxattr, mount / "d/f", name) == errno.ENODATA
    assert errno_of(os.getxattr, mount / "d", "user.x") == errno.ENODATA


def test_xattr_crc32c_is_the_objects(lake):
    lake.put("nine", b"123456789")
    mount = lake.mount(replicas=[])
    assert mount.xattr("nine", "crc32c").removeprefix("0x") == "e3069283"


def test_the_root_tells_its_status(lake):
    mount = lake.mount(replicas=[])
    assert json.loads(mount.xattr("", "status"))["sites"]


def test_inode_numbers_are_stable_over_a_remount(lake):
    for name in ("f", "d/e", "d/g/h"):
        lake.put(name)
    mount = lake.mount(replicas=[])

    def numbers():
        return {name: os.stat(mount / name).st_ino
                for name in ("", "f", "d", "d/e", "d/g", "d/g/h")}

    before = numbers()
    assert len(set(before.values())) == len(before)
    by_readdir = {e.name: e.inode() for e in os.scandir(mount.path)}
    assert by_readdir == {k: before[k] for k in ("f", "d")}
    mount.restart()
    assert numbers() == before


def test_an_overwrite_keeps_the_inode_number(lake):
    lake.put("f")
    mount = lake.mount(replicas=[])
    read(mount / "f")
    before = os.stat(mount / "f").st_ino
    lake.put("f", size=10)
    read(mount / "f")
    assert os.stat(mount / "f").st_ino == before


def test_attributes(lake):
    lake.put("d/f", size=1234)
    mount = lake.mount(replicas=[])
    info = os.stat(mount / "d/f")
    assert stat.S_ISREG(info.st_mode)
    assert info.st_mode & 0o777 in (0o444, 0o644)
    assert info.st_size == 1234
    assert info.st_blocks == 3
    assert info.st_nlink == 1
    assert (info.st_uid, info.st_gid) == (os.getuid(), os.getgid())
    assert info.st_blksize >= 4096
    assert stat.S_ISDIR(os.stat(mount / "d").st_mode)
    assert os.stat(mount / "d").st_nlink >= 1


@pytest.mark.parametrize("metadata, ns", [
    ({"goog-reserved-file-mtime": "1700000000"}, 1700000000 * 10**9),
    ({"gcsfuse_mtime": "2023-11-14T22:13:20.123456789Z"},
     1700000000123456789),
    ({"goog-reserved-file-mtime": "nonsense"}, None),
    ({"gcsfuse_mtime": "2023-99-99T99:99:99Z"}, None),
    ({}, None),
], ids=["gcloud", "gcsfuse", "bad_gcloud", "bad_gcsfuse", "upload"])
def test_mtime_is_what_gcloud_and_gcsfuse_wrote(lake, metadata, ns):
    lake.put("f", metadata=metadata)
    mount = lake.mount(replicas=[])
    got = os.stat(mount / "f").st_mtime_ns
    if ns:
        assert got == ns
    else:
        assert abs(got / 1e9 - time.time()) < 120


@pytest.mark.parametrize("metadata", [
    {"gcsfuse_symlink_target": "d/f"},
    {"goog-reserved-file-is-symlink": "true"},
], ids=["gcsfuse", "gcloud"])
def test_symlinks_are_what_gcsfuse_and_gcloud_wrote(lake, metadata):
    lake.put("d/f")
    inside = b"d/f" if "goog-reserved-file-is-symlink" in metadata else b""
    lake.put("link", inside, metadata=metadata)
    mount = lake.mount(replicas=[])
    assert os.path.islink(mount / "link")
    assert os.readlink(mount / "link") == "d/f"
    assert os.lstat(mount / "link").st_size == 3
    lake.check("d/f", read(mount / "link"))
    kinds = {e.name: e.is_symlink() for e in os.scandir(mount.path)}
    assert kinds == {"d": False, "link": True}


def test_reads_at_every_edge(lake):
    size = 3 * 16384 + 7
    for name, n in (("small", size), ("big", BIG + 7), ("empty", 0)):
        lake.put(name, size=n)
    mount = lake.mount(replicas=[])
    for name in ("small", "big", "empty"):
        data = lake.data(name)
        fd = os.open(mount / name, os.O_RDONLY)
        for offset in (0, 1, 4095, 16383, 16384, 16385, len(data) - 1,
                       len(data), len(data) + 1, len(data) + 10**6):
            for length in (1, 2, 4096, 16384, 16385, 200000):
                if offset >= 0:
                    assert os.pread(fd, length, offset) == \
                        data[offset:offset + length], (name, offset, length)
        os.close(fd)


def test_direct_io_and_odd_sizes(lake):
    lake.put("f", size=100 * KIB + 3)
    mount = lake.mount(replicas=[])
    out = subprocess.run(["dd", f"if={mount / 'f'}", "bs=4096",
                          "iflag=direct", "status=none"],
                         capture_output=True, check=True).stdout
    lake.check("f", out)


def test_readdir_goes_on_where_it_stopped(lake):
    """With a small buffer, seeks, and names that come and go meanwhile."""
    names = [f"{i:04}" for i in range(1500)]
    for name in names:
        lake.put("d/" + name, b"x")
    mount = lake.mount(replicas=[])
    seen = []
    with os.scandir(mount / "d") as walk:
        for i, entry in enumerate(walk):
            seen.append(entry.name)
            if i == 100:
                lake.put("d/0000a", b"x")
                lake.record.delete("d/1400")
    assert [n for n in seen if n not in ("0000a", "1400")] == [
        n for n in names if n != "1400"]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("options, want", [
    (["uid=123", "gid=456"], {"st_uid": 123, "st_gid": 456}),
    (["umask=077"], {"mode": 0o600}),
    (["umask=000"], {"mode": 0o666}),
], ids=["uid", "umask077", "umask000"])
def test_options_of_owner_and_mode(lake, options, want):
    lake.put("f")
    mount = lake.mount(replicas=[], options=options)
    info = os.stat(mount / "f")
    for key, value in want.items():
        if key == "mode":
            assert info.st_mode & 0o666 in (value, value & 0o444)
        else:
            assert getattr(info, key) == value


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user: root only")
@pytest.mark.parametrize("allowed", [False, True])
def test_allow_other_lets_other_users_in(lake, allowed):
    lake.put("f")
    lake.dir.chmod(0o755)
    mount = lake.mount(replicas=[], options=["ro"] + (
        ["allow_other"] if allowed else []))
    rc = subprocess.run(["cat", mount / "f"], user=65534, group=65534,
                        extra_groups=[], capture_output=True).returncode
    assert (rc == 0) == allowed


def test_rm_of_the_tree_fails_and_removes_nothing(lake):
    lake.put("d/f")
    mount = lake.mount(replicas=[])
    assert subprocess.run(["rm", "-rf", mount / "d"],
                          capture_output=True).returncode != 0
    lake.check("d/f", read(mount / "d/f"))
