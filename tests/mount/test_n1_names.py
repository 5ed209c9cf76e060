"""N1: whatever names there are, a listing works and all are told of."""

import errno
import os

import pytest

from lake import errno_of, read

GOOD = ["plain.txt", "ünï/cödé ☃.txt", "sp ace/a b.txt", "quo'te\"s.txt",
        "100%/50%41.txt", "plus+and&=?#.txt", "back\\slash", "-dash", "~",
        "tab\there", "bell\x07", "star*[x]", ".hidden", "a.b.c/...",
        "x" * 255, "é" * 127 + "/f"]
ODD = {
    "double//slash.txt": "empty part",
    "/leading.txt": "empty part",
    "dot/./f.txt": "a part '.'",
    "dots/../f.txt": "a part '..'",
    "long/" + "y" * 256: "over 255 bytes",
    "long/" + "é" * 128: "256 bytes",
    "z" * 300 + "/below.txt": "over 255 bytes, as a directory",
}


def tree(path):
    found = []
    for directory, _, names in os.walk(
            path, onerror=lambda error: (_ for _ in ()).throw(error)):
        found += [os.path.relpath(os.path.join(directory, n), path)
                  for n in names]
    return sorted(found)


@pytest.mark.smoke
def test_n1_every_ordinary_name_is_listed_and_read(lake):
    for name in GOOD:
        lake.put(name, size=100)
    mount = lake.mount(replicas=[])
    assert tree(mount.path) == sorted(GOOD)
    for name in GOOD:
        lake.check(name, read(mount / name))
    mount.restart()
    for name in GOOD:  # looked up without a listing before
        lake.check(name, read(mount / name))


@pytest.mark.parametrize("name", GOOD)
def test_n1_a_copy_of_any_ordinary_name_is_found(lake, name):
    lake.put(name, size=100)
    lake.copy(name)
    mount = lake.mount(replicas=["dc1"])
    lake.check(name, mount.read(name))
    assert mount.site(name) == "dc1"


@pytest.mark.parametrize("name", ODD, ids=ODD.values())
def test_n1_an_odd_name_breaks_no_listing_and_is_reported(lake, name):
    lake.put("good.txt", size=100)
    lake.put("dir/good.txt", size=100)
    for part in ("long/ok", "dots/ok", "dot/ok", "double/ok"):
        lake.put(part, size=100)
    good = sorted(lake.history)
    lake.put(name, size=100)
    mount = lake.mount(replicas=[])
    assert [n for n in tree(mount.path) if n in good] == good
    for path in good:
        lake.check(path, read(mount / path))
    assert mount.status()["meta"]["odd"] >= 1
    told = [odd["object"] for odd in mount.where("")["odd"]]
    assert any(name.startswith(odd) for odd in told), told


def test_n1_bytes_that_are_no_utf8(lake):
    """GCS refuses such names; a server that has one breaks no listing."""
    lake.put("good.txt", size=100)
    server = lake.record.server
    answer = server.http.post(
        f"{server.gcs}/upload/storage/v1/b/{lake.record.name}/o"
        "?uploadType=media&name=bad-%FF%FE", data=b"x", timeout=60)
    if not answer.ok:
        pytest.skip(f"the server refuses it: {answer.status_code}")
    mount = lake.mount(replicas=[])
    assert "good.txt" in os.listdir(mount.path)
    lake.check("good.txt", read(mount / "good.txt"))


def test_n1_a_file_beside_a_directory_of_its_name(lake):
    lake.put("a", size=100)
    lake.put("a/b", size=100)
    lake.put("a-first", size=100)
    lake.put("a.last", size=100)
    mount = lake.mount(replicas=[])
    names = os.listdir(mount.path)
    assert sorted(n for n in names if n in ("a", "a-first", "a.last")) == [
        "a", "a-first", "a.last"]
    lake.check("a/b", read(mount / "a/b"))
    # The file is hidden by the directory: reported, or shown in another way.
    assert mount.status()["meta"]["odd"] >= 1 or len(names) > 3


def test_n1_a_name_that_becomes_a_directory_and_back(lake):
    lake.put("x", size=100)
    mount = lake.mount(replicas=[], names_ttl="0s")
    lake.check("x", read(mount / "x"))
    lake.record.delete("x")
    lake.put("x/y", size=100)
    lake.check("x/y", read(mount / "x/y"))
    lake.record.delete("x/y")
    lake.put("x", size=100)
    lake.check("x", read(mount / "x"))


def test_n1_placeholders_of_directories(lake):
    """What gcsfuse, the console and Hadoop leave: `d/`, empty."""
    lake.put("d/", b"")
    lake.put("e/", b"")
    lake.put("e/f.txt", size=100)
    lake.put("deep/er/", b"")
    mount = lake.mount(replicas=[])
    assert sorted(os.listdir(mount.path)) == ["d", "deep", "e"]
    assert os.listdir(mount / "d") == []
    assert os.listdir(mount / "e") == ["f.txt"]
    assert os.listdir(mount / "deep") == ["er"]
    assert os.path.isdir(mount / "deep/er")


def test_n1_a_placeholder_with_bytes_is_a_directory_still(lake):
    lake.put("d/", b"bytes nobody can reach as a file")
    lake.put("d/f.txt", size=100)
    mount = lake.mount(replicas=[])
    assert os.listdir(mount / "d") == ["f.txt"]
    lake.check("d/f.txt", read(mount / "d/f.txt"))


def test_n1_names_longer_than_any_object_are_enametoolong(lake):
    mount = lake.mount(replicas=[])
    assert errno_of(os.stat, mount / ("n" * 256)) == errno.ENAMETOOLONG
    deep = "/".join(["d" * 200] * 6)
    assert errno_of(os.stat, mount / deep) in (errno.ENAMETOOLONG,
                                               errno.ENOENT)


def test_n1_lookups_of_what_is_not_there(lake):
    lake.put("a/b", size=100)
    lake.put("f", size=100)
    mount = lake.mount(replicas=[])
    assert errno_of(os.stat, mount / "none") == errno.ENOENT
    assert errno_of(os.stat, mount / "none/at/all") == errno.ENOENT
    assert errno_of(os.stat, mount / "f/below") == errno.ENOTDIR
    assert errno_of(os.listdir, mount / "f") == errno.ENOTDIR
    assert errno_of(os.open, mount / "a", os.O_WRONLY) == errno.EISDIR
    assert errno_of(os.readlink, mount / "f") == errno.EINVAL


@pytest.mark.parametrize("prefix", ["in", "in/side/", "in/side"])
def test_n1_a_lake_may_be_a_prefix(lake, prefix):
    lake.put("in/side/f.txt", size=100)
    lake.put("in/sider/g.txt", size=100)
    lake.put("out.txt", size=100)
    config = lake.config(replicas=[])
    config["record"]["url"] += "/" + prefix
    mount = lake.mount(replicas=[], record=config["record"])
    if prefix == "in":
        assert tree(mount.path) == ["side/f.txt", "sider/g.txt"]
    else:
        assert tree(mount.path) == ["f.txt"]
        lake.check("in/side/f.txt", read(mount / "f.txt"))


def test_n1_pages_that_are_empty_end_no_listing(lake):
    for i in range(30):
        lake.put(f"{i:02}", size=10)
    lake.record.server.faults({"empty_pages": True})
    mount = lake.mount(replicas=[])
    assert len(os.listdir(mount.path)) == 30


def test_n1_our_own_prefix_is_not_shown(lake):
    lake.put(".lakefuse/leases/x", size=10)
    lake.put("f", size=10)
    mount = lake.mount(replicas=[])
    assert os.listdir(mount.path) == ["f"]
