"""The commands: one line that says what is wrong, the right exit code."""

import json
import os
import signal
import subprocess
import time

import pytest

from lake import BIG, BOUND, eventually, is_mounted, read, run, within
from servers import LAKEFUSE, wait_for


def fails(lake, result, *codes):
    """Failed with such a code and one line besides the progress it told."""
    assert result.returncode in (codes or (1,)), result
    lines = [line for line in result.stderr.strip().splitlines()
             if not line.endswith(" ...")]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("lakefuse: "), lines
    assert result.stdout == "", result.stdout
    assert not is_mounted(lake.dir / "mnt0")
    return lines[0]


@pytest.fixture
def failed_mount(lake):
    """Mounts with a wrong configuration; returns the one line."""

    def attempt(text=None, options=(), **over):
        mount = lake.mount(start=False, **{"op_timeout": "3s", **over})
        if text is not None:
            mount.file.write_text(text)
        result = run("mount", *options, mount.file, mount.path)
        return fails(lake, result, 1, 2)

    return attempt


@pytest.mark.smoke
def test_a_missing_file_is_named(lake):
    (lake.dir / "mnt0").mkdir()
    result = run("mount", lake.dir / "none.yaml", lake.dir / "mnt0")
    assert "none.yaml" in fails(lake, result)


@pytest.mark.parametrize("text, word", [
    ("record: {url: gs://x}\nstat: /tmp\n", "stat"),
    ("record: {url: gs://x, endpont: http://127.0.0.1:1}\n", "endpont"),
    ("record: {url: gs://x}\nop_timeout: quick\n", "op_timeout"),
    ("record: {url: gs://x}\ncache: {size: much}\n", "size"),
    ("record: {url: gs://x}\non_record_loss: shrug\n", "shrug"),
    ("record: {url: http://x}\n", "http://x"),
    ("record: [1, 2\n", "yaml"),
    ("", "record"),
], ids=["key", "nested_key", "time", "size", "choice", "url", "syntax",
        "empty"])
def test_a_wrong_file_is_one_line_with_the_key(failed_mount, text, word):
    line = failed_mount(text=text)
    assert word in line


def test_a_wrong_key_is_named_with_file_and_line(failed_mount):
    line = failed_mount(text="record:\n  url: gs://x\nstat: /tmp\n")
    assert ".yaml:3" in line and "state" in line, line


def test_a_bucket_that_is_not_there(lake, failed_mount):
    record = lake.config()["record"]
    line = failed_mount(record={**record, "url": "gs://no-such-bucket"})
    assert "no-such-bucket" in line


def test_an_endpoint_that_is_not_there(lake, failed_mount):
    record = lake.config()["record"]
    line = failed_mount(record={**record, "endpoint": "http://127.0.0.1:1"})
    assert "127.0.0.1:1" in line


def test_credentials_that_are_not_there(lake, failed_mount):
    record = lake.config()["record"]
    line = failed_mount(record={**record, "credentials": "/none/key.json"})
    assert "/none/key.json" in line


def test_credentials_are_never_told(lake, failed_mount):
    key = lake.dir / "key.json"
    key.write_text('{"type": "service_account", "private_key": "s3cr3t!"')
    record = lake.config()["record"]
    line = failed_mount(record={**record, "credentials": str(key)})
    assert "s3cr3t" not in line and "key.json" in line


def test_a_mountpoint_that_is_not_there(lake):
    mount = lake.mount(start=False)
    result = run("mount", mount.file, lake.dir / "no/where")
    assert "no/where" in fails(lake, result)


def test_a_mountpoint_that_is_a_file(lake):
    mount = lake.mount(start=False)
    (lake.dir / "file").write_text("")
    fails(lake, run("mount", mount.file, lake.dir / "file"))


def test_a_state_that_cannot_be_made(lake, failed_mount):
    assert "/proc/nothing" in failed_mount(state="/proc/nothing/state")


def test_an_unknown_option_is_named(lake, failed_mount):
    assert "nonsens" in failed_mount(options=["-o", "nonsens=1"])


@pytest.mark.parametrize("args", [
    ["mount"], ["mount", "only-one"], ["mount", "--wrong", "a", "b"],
    ["monut"], [], ["umount"], ["where"], ["status", "a", "b"],
    ["mount", "a", "b", "c"]], ids=" ".join)
def test_wrong_usage_is_2_and_one_line(lake, args):
    fails(lake, run(*args), 2)


@pytest.mark.parametrize("args", [
    ["--help"], ["help"], ["--version"], ["mount", "--help"],
    ["umount", "--help"], ["status", "--help"], ["where", "--help"],
    ["serve", "--help"], ["demo", "--help"]], ids=" ".join)
def test_help_and_version(args):
    result = run(*args)
    assert result.returncode == 0 and result.stdout and not result.stderr


def test_where_and_status_off_any_mount(lake):
    for command in ("where", "status", "umount"):
        fails(lake, run(command, lake.dir))


@pytest.mark.smoke
def test_a_second_mount_on_the_same_state_is_refused_by_name(lake):
    lake.put("f")
    mount = lake.mount()
    second = lake.mount(start=False, state=str(mount.state))
    result = run("mount", second.file, second.path)
    assert result.returncode == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert str(mount.state) in result.stderr
    assert str(mount.proc.pid) in result.stderr or \
        str(mount.path) in result.stderr
    assert not is_mounted(second.path)
    lake.check("f", read(mount / "f"))


def test_two_mounts_with_two_states(lake):
    lake.put("f")
    one, two = lake.mount(), lake.mount()
    for _ in range(3):
        for mount in (one, two):
            lake.check("f", read(mount / "f"))
        lake.put("f")
    one.stop()
    lake.check("f", read(two / "f"))


def daemon_pid(mount):
    return json.loads(run("status", "--json", mount.path,
                          check=True).stdout)["pid"]


def gone(pid):
    try:
        os.kill(pid, 0)
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1][1] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


@pytest.mark.smoke
def test_a_daemon_returns_when_the_tree_answers(lake):
    lake.put("f")
    mount = lake.mount(start=False, log=str(lake.dir / "log"))
    result = run("mount", mount.file, mount.path)
    assert result.returncode == 0, result.stderr
    assert is_mounted(mount.path)
    lake.check("f", read(mount / "f"))
    pid = daemon_pid(mount)
    assert run("umount", mount.path).returncode == 0
    assert not is_mounted(mount.path)
    eventually("end of the daemon", lambda: gone(pid), 20)


def test_a_relative_mountpoint_and_file(lake):
    lake.put("f")
    mount = lake.mount(start=False, log=str(lake.dir / "log"))
    result = run("mount", mount.file.name, mount.path.name, cwd=lake.dir)
    assert result.returncode == 0, result.stderr
    lake.check("f", read(mount / "f"))
    assert run("status", mount.path.name, cwd=lake.dir).returncode == 0
    assert run("umount", mount.path.name, cwd=lake.dir).returncode == 0


def test_a_bucket_url_is_enough(lake):
    lake.put("f")
    mount = lake.mount(start=False)
    record = mount.config["record"]
    options = (f"record.endpoint={record['endpoint']},"
               f"record.credentials=anonymous,state={mount.state},"
               f"log={lake.dir / 'log'}")
    result = run("mount", "-o", options, record["url"], mount.path)
    assert result.returncode == 0, result.stderr
    lake.check("f", read(mount / "f"))
    assert run("umount", mount.path).returncode == 0


def test_umount_of_a_busy_mount_says_so_and_leaves_it(lake):
    lake.put("f")
    mount = lake.mount()
    with open(mount / "f", "rb"):
        result = run("umount", mount.path)
        assert result.returncode == 1
        assert len(result.stderr.strip().splitlines()) == 1
        assert is_mounted(mount.path)
    lake.check("f", read(mount / "f"))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_mount_in_order(lake, name):
    lake.put("f")
    mount = lake.mount()
    read(mount / "f")
    mount.proc.send_signal(getattr(signal, name))
    mount.ended()


def test_a_signal_ends_a_mount_with_open_files_too(lake):
    lake.put("f", size=BIG)
    mount = lake.mount()
    fd = os.open(mount / "f", os.O_RDONLY)
    mount.proc.terminate()
    mount.ended()
    os.close(fd)


def test_status_for_people_and_for_programs(lake):
    lake.put("f")
    lake.copy("f")
    mount = lake.mount()
    read(mount / "f")
    text = run("status", mount.path, check=True).stdout
    for word in (str(mount.path), "record", "dc1", "dc2"):
        assert word in text
    status = mount.status()
    assert [s["name"] for s in status["sites"]] == ["record", "dc1", "dc2"]
    assert status["pid"] == mount.proc.pid
    assert status["metrics"]["reads"] >= 1
    assert "anonymous" not in text


def test_where_for_people_and_for_programs(lake):
    lake.put("d/f")
    lake.put("d/f")
    lake.copy("d/f")
    lake.copy("d/f", "dc2", "stale_unstamped")
    mount = lake.mount()
    text = run("where", mount / "d/f", check=True).stdout
    for word in ("record", "dc1", "dc2", "stamp", "native",
                 str(lake.generation("d/f"))):
        assert word in text, text
    answer = mount.where("d/f")
    assert answer["generation"] == str(lake.generation("d/f"))
    assert answer["serves"] in ("dc1", "record")
    assert {c["site"]: c["proof"] for c in answer["copies"]} == {
        "record": "native", "dc1": "stamp", "dc2": "none"}


def test_where_of_several_and_of_none(lake):
    lake.put("a")
    lake.put("b")
    mount = lake.mount()
    result = run("where", "--json", mount / "a", mount / "b", check=True)
    assert [json.loads(line)["object"] for line in
            result.stdout.splitlines()] == ["a", "b"]
    result = run("where", mount / "none")
    assert result.returncode in (0, 1)


def test_status_answers_while_a_site_hangs(lake):
    lake.put("f", size=BIG)
    mount = lake.mount(replicas=[], op_timeout="60s")
    os.stat(mount / "f")
    lake.record.server.faults({"hang": True, "match": "alt=media"})
    reader = subprocess.Popen(["cat", mount / "f"], stdout=subprocess.DEVNULL)
    time.sleep(0.3)
    within(20, mount.status)
    reader.kill()
    reader.wait(20)


def test_an_idle_mount_uses_no_cpu_and_asks_little(lake):
    lake.put("f")
    lake.copy("f")
    mount = lake.mount()
    read(mount / "f")

    def ticks():
        text = open(f"/proc/{mount.proc.pid}/stat").read()
        return sum(map(int, text.rsplit(")", 1)[1].split()[11:13]))

    before, asked = ticks(), lake.record.server.counters()
    time.sleep(3)
    assert ticks() - before <= 30  # of 300
    assert (lake.record.server.counters() - asked).requests <= 6


def test_s3_keys_from_a_file(lake):
    """Signed requests: right ones are let in; the secret is told nowhere."""
    lake.put("f")
    lake.copy("f")
    keys = lake.dir / "dc1.keys"
    keys.write_text("[default]\naws_access_key_id = AKIDEXAMPLE\n"
                    "aws_secret_access_key = wJalrXUtnFEMIK7MDENG\n")
    keys.chmod(0o600)
    config = {**lake.replica("dc1"), "credentials": str(keys)}
    mount = lake.mount(replicas=[config], here="dc1", log_level="debug")
    lake.check("f", mount.read("f"))
    assert mount.site("f") == "dc1"
    told = mount.errors() + json.dumps(mount.status())
    assert "wJalrXUtnFEMI" not in told


def test_demo_shows_the_idea_and_ends(lake):
    demo = subprocess.Popen([LAKEFUSE, "demo", lake.dir / "demo"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    try:
        points = []

        def up():
            with open("/proc/self/mountinfo") as info:
                points[:] = [line.split()[4] for line in info
                             if str(lake.dir / "demo") in line.split()[4]]
            return points or demo.poll() is not None

        wait_for("demo's mount", BOUND, up)
        assert points, demo.stdout.read()
        assert within(BOUND, os.listdir, points[0])
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=BOUND)
        assert not is_mounted(points[0])
    finally:
        for point in points:
            subprocess.run(["fusermount3", "-uz", point], capture_output=True)
        demo.kill()
        demo.wait(20)
