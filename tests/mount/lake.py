"""A lake for one test: record, replicas, configuration, mounts."""

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

from content import content, what_is_wrong
from servers import (LAKEFUSE, SLOW, START_SECONDS, DirBucket, GcsBucket,
                     S3Bucket, Server, sanitizer_report, wait_for)

# How long anything may take that is promised to be bounded.
BOUND = 120 if SLOW else 60
KIB = 1024
MIB = 1024 * 1024
# More than verify_whole: read in ranges, so that proofs and validators matter.
BIG = 3 * MIB

numbers = itertools.count(1)


class Overdue(AssertionError):
    pass


def within(seconds, call, *args):
    """call(*args) on a thread of its own; Overdue when it doesn't end."""
    result = []

    def run():
        try:
            result.append((call(*args), None))
        except BaseException as error:
            result.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not result:
        raise Overdue(f"{getattr(call, '__name__', call)} took over {seconds} s")
    value, error = result[0]
    if error:
        raise error
    return value


def errno_of(call, *args):
    """0, or the errno call failed with."""
    try:
        call(*args)
    except OSError as error:
        return error.errno
    return 0


def read(path):
    with open(path, "rb", buffering=0) as file:
        return file.readall()


def read_at(path, offset, size):
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.pread(fd, size, offset)
    finally:
        os.close(fd)


def is_mounted(path):
    wanted = str(path).replace(" ", "\\040")
    with open("/proc/self/mountinfo") as info:
        return any(line.split()[4] == wanted for line in info)


def run(*args, check=False, timeout=BOUND, **kwargs):
    """Runs `lakefuse ARGS` to its end."""
    return subprocess.run([LAKEFUSE, *map(str, args)], timeout=timeout,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=check, **kwargs)


class Mount:
    """`lakefuse mount -f` as a child, with its own configuration and state."""

    def __init__(self, lake, config, path, options=()):
        self.lake = lake
        self.path = Path(path)
        self.state = Path(config["state"])
        self.file = self.path.parent / (self.path.name + ".yaml")
        self.stderr = self.path.parent / (self.path.name + ".err")
        self.options = list(options)
        self.proc = None
        self.path.mkdir(exist_ok=True)
        self.write(config)

    def write(self, config):
        self.config = config
        self.file.write_text(json.dumps(config, indent=1))

    def __truediv__(self, name):
        return self.path / name

    def start(self):
        options = ["-o", ",".join(self.options)] if self.options else []
        with open(self.stderr, "ab") as errors:
            self.proc = subprocess.Popen(
                [LAKEFUSE, "mount", "-f", *options, self.file, self.path],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        wait_for("mount", START_SECONDS, self._answers)
        return self

    def _answers(self):
        assert self.proc.poll() is None, (
            f"mount ended with {self.proc.returncode}: {self.errors()[-2000:]}")
        return is_mounted(self.path) and within(BOUND, os.stat, self.path)

    def errors(self):
        return self.stderr.read_text(errors="replace")

    def status(self):
        return json.loads(run("status", "--json", self.path, check=True).stdout)

    def metric(self, name):
        return self.status()["metrics"][name]

    def refused(self, why):
        """Copies refused for this reason, at all sites together."""
        return sum(site["refused"][why] for site in self.status()["sites"])

    def where(self, name):
        return json.loads(run("where", "--json", self / name,
                              check=True).stdout)

    def copy_at(self, name, site):
        """What `where` says of one site's copy."""
        report = self.where(name)
        report = report[0] if isinstance(report, list) else report
        return next(copy for copy in report["copies"] if copy["site"] == site)

    def xattr(self, name, key):
        return os.getxattr(self / name, "user.lake." + key).decode()

    def read(self, name):
        """The bytes; site() and proof() then tell of the same handle."""
        with open(self / name, "rb", buffering=0) as file:
            data = file.readall()
            self.told = {}
            for key in ("site", "proof"):
                with contextlib.suppress(OSError):
                    self.told[name, key] = os.getxattr(
                        file.fileno(), "user.lake." + key).decode()
        return data

    def site(self, name):
        """Who served the last read()."""
        return self.told.get((name, "site"))

    def proof(self, name):
        return self.told.get((name, "proof"))

    def rss_kib(self, key="VmRSS"):
        text = Path(f"/proc/{self.proc.pid}/status").read_text()
        return int(re.search(rf"{key}:\s+(\d+)", text).group(1))

    def kill(self):
        """As a crash: nothing is written any more."""
        self.abort()
        self.proc = None
        assert not is_mounted(self.path)

    def stop(self):
        """Unmounts; whatever is left behind then is a failure."""
        if not self.proc:
            return  # never started, or stopped before
        if self.proc.poll() is None:
            within(BOUND, lambda: wait_for("umount", BOUND, self._unmounts,
                                           0.1))
        self.ended()

    def ended(self):
        """It ends by itself now, in good order."""
        code = self.proc.wait(BOUND)
        self.proc = None
        self.check_errors()
        assert code == 0, f"daemon: {code}\n{self.errors()[-3000:]}"
        assert not is_mounted(self.path)

    def _unmounts(self):
        return subprocess.run(["fusermount3", "-u", self.path],
                              capture_output=True).returncode == 0

    def restart(self):
        self.stop()
        return self.start()

    def check_errors(self):
        report = sanitizer_report(self.errors())
        assert not report, report

    def abort(self):
        """Whatever state it is in: blocked callers come back."""
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGCONT)
            self.proc.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.proc.wait(20)
        if is_mounted(self.path):
            subprocess.run(["fusermount3", "-u", "-z", self.path],
                           capture_output=True)


class Lake:
    """
    Three sites: `record` (GCS), `dc1` (S3, stamped) and `dc2` (GCS, unstamped,
    or with directory=True a directory), and the mounts a test makes of them.
    """

    def __init__(self, directory, servers, dc2_directory=False):
        self.dir = Path(directory)
        self.n = next(numbers)
        self.mounts = []
        self.history = {}  # name -> [(generation, bytes)]
        self.record = GcsBucket(servers[0], f"lake-{self.n}")
        self.dc1 = S3Bucket(servers[1], f"lake-{self.n}")
        if dc2_directory:
            self.dc2 = DirBucket(self.dir / "dc2")
        else:
            self.dc2 = GcsBucket(servers[2], f"lake-{self.n}")

    def site(self, name):
        return getattr(self, name)

    def put(self, name, data=None, size=4 * KIB, metadata=None, **condition):
        """A new version in the record; content's version is its number."""
        versions = self.history.setdefault(name, [])
        if data is None:
            data = content(name, len(versions) + 1, size)
        generation = self.record.put(name, data, metadata, **condition)
        versions.append((generation, data))
        if len(versions) > 16:  # a storm makes thousands
            versions[-17] = (versions[-17][0], None)
        return generation

    def data(self, name, version=-1):
        return self.history[name][version][1]

    def generation(self, name, version=-1):
        return self.history[name][version][0]

    def copy(self, name, site="dc1", how="exact", version=-1):
        """What a copier, good or bad, leaves at a replica."""
        generation, data = self.history[name][version]
        at = self.site(site)
        if how == "exact":
            at.put(name, data, stamp=generation)
        elif how == "unstamped":  # its md5 or crc32c is the proof
            at.put(name, data)
        elif how == "composed":  # no md5: its ETag tells nothing
            at.put_composed(name, data)
        elif how == "stale":
            old, bytes_ = self.history[name][version - 1]
            at.put(name, bytes_, stamp=old)
        elif how == "stale_unstamped":
            at.put(name, self.history[name][version - 1][1])
        elif how == "stale_composed":
            at.put_composed(name, self.history[name][version - 1][1])
        elif how == "newer":
            at.put(name, data[::-1], stamp=generation + 1)
        elif how == "torn":
            at.put(name, data[:len(data) // 2], stamp=generation)
        elif how == "longer":
            at.put(name, data + b"more", stamp=generation)
        elif how == "wrong_stamp":  # old bytes that claim to be new
            at.put(name, self.history[name][version - 1][1], stamp=generation)
        elif how == "corrupt":
            flipped = bytearray(data)
            flipped[len(data) // 2] ^= 4
            at.put(name, bytes(flipped), stamp=generation)
        elif how != "absent":
            raise ValueError(how)

    def replica(self, name):
        at = self.site(name)
        config = {"name": name, "url": f"{at.scheme}://{at.name}"
                  if at.endpoint else f"file://{at.dir}"}
        if at.endpoint:
            config.update(endpoint=at.endpoint, credentials="anonymous")
        if name == "dc1" or not at.endpoint:
            config["stamp"] = at.stamp_key
        return config

    def config(self, replicas=("dc1", "dc2"), **over):
        config = {
            "record": {"url": f"gs://{self.record.name}",
                       "endpoint": self.record.endpoint,
                       "credentials": "anonymous"},
            "replicas": [self.replica(name) if isinstance(name, str) else name
                         for name in replicas],
            "state": str(self.dir / f"state{len(self.mounts)}"),
            "op_timeout": "60s" if SLOW else "20s",
        }
        if "dc1" in replicas:
            config["here"] = "dc1"
        config.update(over)
        if "unsafe" in over:
            config["unsafe"] = ",".join(over["unsafe"])
        return {k: v for k, v in config.items() if v is not None}

    def mount(self, options=(), start=True, **over):
        """
        Mounts with config(**over); stopped and checked when the test ends.
        With a replica `here`, the record is far from the first request on.
        """
        path = self.dir / f"mnt{len(self.mounts)}"
        mount = Mount(self, self.config(**over), path, options)
        if mount.config.get("here", "record") != "record":
            self.far_record()
        self.mounts.append(mount)
        return mount.start() if start else mount

    def far_record(self, ms=150 if SLOW else 30):
        """The record answers, but from afar: replicas are nearer."""
        self.record.server.faults({"latency_ms": ms})

    def check(self, name, data, version=-1):
        assert data == self.data(name, version), what_is_wrong(
            name, len(self.data(name, version)), 0, data) or (
            f"{name}: {len(data)} bytes of another version")

    def abort(self):
        for mount in self.mounts:
            mount.abort()

    def stop(self):
        for mount in self.mounts:
            mount.stop()


class Servers:
    """Three servers, shared by tests; one that a test broke is made anew."""

    names = ("record", "dc1", "dc2")

    def __init__(self, directory):
        self.dir = Path(directory)
        self.n = 0
        self.servers = [None] * 3

    def ready(self):
        for i, server in enumerate(self.servers):
            if server and server.alive():
                server.heal()
                continue
            if server:
                server.stop()
            self.n += 1
            self.servers[i] = Server(self.dir / f"{self.names[i]}-{self.n}",
                                     self.names[i])
        return self.servers

    def stop(self):
        for server in self.servers:
            if server:
                server.stop()


def eventually(what, check, seconds=BOUND):
    return wait_for(what, seconds, check, 0.2)


def now():
    return time.monotonic()
