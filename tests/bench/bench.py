"""make bench: lakefuse beside its floors and its peers, in one run.

Every row is measured in interleaved rounds, floor and contestants one after
the other, and the median counts.  On a shared machine the ratios mean
something, the seconds do not.  A goal that is missed is named as missed; what
is not installed is named as missing.

    make bench                     all rows, three rounds
    make bench BENCH="cold warm"   these rows only
    ROUNDS=1 make bench            quicker
"""

import http.client
import os
import platform
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib")]
os.environ.setdefault("LAKEFUSE", str(ROOT / "build/release/lakefuse"))

from servers import LAKEFUSE, GcsBucket, Server  # noqa: E402

MIB = 1 << 20
BIG = 1024 * MIB
ROUNDS = int(os.environ.get("ROUNDS", "3"))
EXAMPLE = Path("/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c")


def timed(call, *args):
    start = time.monotonic()
    call(*args)
    return time.monotonic() - start


def wait_mounted(path, proc):
    for _ in range(500):
        if os.path.ismount(path):
            return
        if proc.poll() is not None:
            raise RuntimeError(f"{proc.args[0]} ended: {proc.returncode}")
        time.sleep(0.02)
    raise RuntimeError(f"{proc.args[0]} does not mount")


class Mounted:
    """A mount under test; remount() keeps its disk cache."""

    def __init__(self, name, place, command):
        self.name = name
        self.path = place / "mnt"
        self.place = place
        self.command = command
        self.peak_kib = 0
        self.cpu_s = 0.0
        self.path.mkdir(parents=True)
        self.start()

    def start(self):
        self.proc = subprocess.Popen(
            self.command(self), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=open(self.place / "stderr", "ab"))
        wait_mounted(self.path, self.proc)

    def stop(self):
        self.note_cost()
        for _ in range(200):
            if subprocess.run(["fusermount3", "-u", self.path],
                              stderr=subprocess.DEVNULL).returncode == 0:
                break
            time.sleep(0.05)
        self.proc.wait(60)

    def note_cost(self):
        try:
            status = Path(f"/proc/{self.proc.pid}/status").read_text()
            stat = Path(f"/proc/{self.proc.pid}/stat").read_text()
        except OSError:
            return
        for line in status.splitlines():
            if line.startswith("VmHWM"):
                self.peak_kib = max(self.peak_kib, int(line.split()[1]))
        fields = stat.rsplit(")", 1)[1].split()
        self.cpu_s += (int(fields[11]) + int(fields[12])) / os.sysconf(
            "SC_CLK_TCK")

    def remount(self):
        self.stop()
        self.start()


class Bench:
    def __init__(self, place):
        self.place = place
        self.server = Server(place / "record", "record")
        self.bucket = GcsBucket(self.server, "lake")
        self.n_mounts = 0
        self.rows = []
        self.big_file = place / "big"

    # --- contestants -----------------------------------------------------

    def lakefuse(self):
        self.n_mounts += 1
        place = self.place / f"lakefuse-{self.n_mounts}"
        place.mkdir()
        conf = place / "lake.yaml"
        conf.write_text(
            f"record: {{url: gs://lake, endpoint: '{self.bucket.endpoint}',"
            f" credentials: anonymous}}\nstate: {place}/state\n")
        return Mounted("lakefuse", place, lambda m: [
            LAKEFUSE, "mount", "-f", conf, m.path])

    def gcsfuse(self):
        self.n_mounts += 1
        place = self.place / f"gcsfuse-{self.n_mounts}"
        return Mounted("gcsfuse", place, lambda m: [
            "gcsfuse", "--foreground", "--anonymous-access",
            f"--custom-endpoint={self.bucket.endpoint}/storage/v1/",
            "--implicit-dirs", "lake", m.path])

    def rclone(self):
        self.n_mounts += 1
        place = self.place / f"rclone-{self.n_mounts}"
        return Mounted("rclone", place, lambda m: [
            "rclone", "mount", "--config", "/dev/null", "--read-only",
            "--vfs-cache-mode", "full", "--cache-dir", place / "cache",
            f":gcs,anonymous,endpoint='{self.bucket.endpoint}':lake", m.path])

    def s3fs(self):
        self.n_mounts += 1
        place = self.place / f"s3fs-{self.n_mounts}"
        return Mounted("s3fs", place, lambda m: [
            "s3fs", "lake", m.path, "-f", "-o", f"url={self.server.s3}",
            "-o", "use_path_request_style", "-o", "public_bucket=1",
            "-o", f"use_cache={place}/cache"])

    def passthrough(self):
        """libfuse's own example over a local directory."""
        program = self.place / "passthrough_ll"
        if not program.exists():
            flags = subprocess.run(
                ["pkg-config", "--cflags", "--libs", "fuse3"], check=True,
                capture_output=True, text=True).stdout.split()
            subprocess.run(["gcc", "-O2", "-w", EXAMPLE, "-o", program,
                            *flags], check=True)
        self.n_mounts += 1
        place = self.place / f"passthrough-{self.n_mounts}"
        return Mounted("passthrough", place, lambda m: [
            program, "-f", "-o", f"source={self.place}", m.path])

    def peers(self):
        return [make for name, make in (("gcsfuse", self.gcsfuse),
                                        ("rclone", self.rclone),
                                        ("s3fs", self.s3fs))
                if shutil.which(name)]

    # --- the table -------------------------------------------------------

    def row(self, name, unit, results, floor, goal=None, worse_is_more=True,
            note=""):
        """results: {contestant: [values]}; goal: ratio to the floor."""
        medians = {k: statistics.median(v) for k, v in results.items() if v}
        base = medians[floor]
        ours = medians["lakefuse"]
        ratio = base / ours if worse_is_more else ours / base
        verdict = ""
        if goal is not None:
            verdict = "reached" if ratio >= goal else "MISSED"
        cells = "  ".join(f"{k} {v:.3g}" for k, v in medians.items())
        self.rows.append((name, unit, cells, f"{ratio:.2f}",
                          "" if goal is None else f"{goal:.2f}", verdict,
                          note))
        print(f"  {name} [{unit}]: {cells}; lakefuse/{floor} {ratio:.2f} "
              f"{'goal %.2f %s' % (goal, verdict) if goal else ''} {note}",
              flush=True)

    def peak(self, name, mounts):
        peak = max(m.peak_kib for m in mounts) / 1024
        cpu = sum(m.cpu_s for m in mounts) / len(mounts)
        return f"{name}: peak {peak:.0f} MiB, {cpu:.2f} CPU s"

    def rounds(self, contestants, prepare, act):
        """Interleaved: {name: [seconds]}, and the mounts of lakefuse."""
        results, ours = {}, []
        for _ in range(ROUNDS):
            for make in contestants:
                mount = make()
                try:
                    prepare(mount)
                    results.setdefault(mount.name, []).append(
                        timed(act, mount.path))
                finally:
                    mount.stop()
                if mount.name == "lakefuse":
                    ours.append(mount)
                shutil.rmtree(mount.place, ignore_errors=True)
        return results, ours

    # --- rows ------------------------------------------------------------

    def need_big(self):
        if self.big_file.exists():
            return
        print("  making 1 GiB", flush=True)
        block = random.Random(1).randbytes(16 * MIB)
        with open(self.big_file, "wb") as f:
            for _ in range(BIG // len(block)):
                f.write(block)
        connection = http.client.HTTPConnection(self.host())
        with open(self.big_file, "rb") as f:
            connection.request(
                "POST", "/upload/storage/v1/b/lake/o?uploadType=media&name=big",
                body=f, headers={"Content-Length": str(BIG)})
            assert connection.getresponse().status == 200

    def host(self):
        return self.bucket.endpoint.removeprefix("http://")

    def parallel_curl(self):
        piece = BIG // 8
        url = f"{self.bucket.endpoint}/storage/v1/b/lake/o/big?alt=media"
        procs = [subprocess.Popen(
            ["curl", "-sS", "-o", "/dev/null", "-r",
             f"{i * piece}-{(i + 1) * piece - 1}", url]) for i in range(8)]
        assert not any(p.wait() for p in procs)

    @staticmethod
    def read_big(path):
        with open(path / "big", "rb", buffering=0) as f:
            buf = bytearray(MIB)
            while f.readinto(buf):
                pass

    def cold(self):
        self.need_big()
        raw = []
        for _ in range(ROUNDS):
            raw.append(timed(self.parallel_curl))
        results, ours = self.rounds([self.lakefuse, *self.peers()],
                                    lambda m: None, self.read_big)
        for _ in range(ROUNDS):
            raw.append(timed(self.parallel_curl))
        results["curl x8"] = raw
        self.row("read 1 GiB cold", "s", results, "curl x8", 0.7,
                 note=self.peak("lakefuse", ours))

    def warm(self):
        self.need_big()

        def warm_up(mount):
            if mount.name != "passthrough":
                self.read_big(mount.path)
            mount.remount()

        results, ours = self.rounds(
            [self.passthrough, self.lakefuse, *self.peers()], warm_up,
            self.read_big)
        results["disk"] = [timed(self.read_big, self.place)
                           for _ in range(ROUNDS)]
        self.row("read 1 GiB again, after a remount", "s", results,
                 "passthrough", 0.7, note=self.peak("lakefuse", ours))

    def get_range(self, connection, name, offset, size):
        connection.request(
            "GET", f"/storage/v1/b/lake/o/{quote(name, safe='')}?alt=media",
            headers={"Range": f"bytes={offset}-{offset + size - 1}"})
        assert len(connection.getresponse().read()) == size

    def random4k(self):
        self.need_big()
        offsets = random.Random(2).sample(range(BIG // 4096), 1000)

        def act(path):
            fd = os.open(path / "big", os.O_RDONLY)
            for o in offsets:
                os.pread(fd, 4096, o * 4096)
            os.close(fd)

        def raw():
            connection = http.client.HTTPConnection(self.host())
            for o in offsets:
                self.get_range(connection, "big", o * 4096, 4096)

        results, ours = self.rounds([self.lakefuse, *self.peers()],
                                    lambda m: None, act)
        results["raw HTTP"] = [timed(raw) for _ in range(ROUNDS)]
        self.row("1,000 random 4 KiB, cold", "s", results, "raw HTTP",
                 note=self.peak("lakefuse", ours))

    def need_tables(self):
        data = random.Random(3).randbytes(32 * MIB)
        for i in range(10):
            self.bucket.put(f"scan/part-{i}.parquet", data)

    def parquet(self):
        self.need_tables()
        size, rng = 32 * MIB, random.Random(4)
        plan = [[(size - 65536, 65536)] + [
            (o * MIB + 1234, MIB) for o in sorted(rng.sample(range(31), 20))]
            for _ in range(10)]
        asked = sum(n for file in plan for _, n in file)

        def scan(path, i):
            fd = os.open(path / "scan" / f"part-{i}.parquet", os.O_RDONLY)
            for offset, n in plan[i]:
                os.pread(fd, n, offset)
            os.close(fd)

        def act(path):
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda i: scan(path, i), range(10)))

        def raw_file(i):
            connection = http.client.HTTPConnection(self.host())
            for offset, n in plan[i]:
                self.get_range(connection, f"scan/part-{i}.parquet", offset, n)

        def raw():
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(raw_file, range(10)))

        fetched = []

        def counted(path):
            before = self.server.counters()
            act(path)
            fetched.append((self.server.counters() - before)["media_bytes"])

        results, ours = self.rounds([self.lakefuse], lambda m: None, counted)
        ratio = statistics.median(fetched) / asked
        others, _ = self.rounds(self.peers(), lambda m: None, act)
        results.update(others)
        results["raw HTTP"] = [timed(raw) for _ in range(ROUNDS)]
        self.row("Parquet scan, 10 x (footer + 20 x 1 MiB), 4 threads", "s",
                 results, "raw HTTP",
                 note=f"{self.peak('lakefuse', ours)}; {ratio:.3f} bytes "
                      f"fetched for one asked (goal 1.3: "
                      f"{'reached' if ratio <= 1.3 else 'MISSED'})")

    def small(self):
        data = os.urandom(16384)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: self.bucket.put(f"small/{i:04}", data),
                          range(2000)))

        def act(path):
            names = os.listdir(path / "small")

            def one(name):
                with open(path / "small" / name, "rb", buffering=0) as f:
                    assert len(f.read(16384)) == 16384
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(one, names))

        local = threading.local()

        def raw_one(i):
            if not hasattr(local, "connection"):
                local.connection = http.client.HTTPConnection(self.host())
            self.get_range(local.connection, f"small/{i:04}", 0, 16384)

        def raw():
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(raw_one, range(2000)))

        results, ours = self.rounds([self.lakefuse, *self.peers()],
                                    lambda m: None, act)
        results["raw HTTP"] = [timed(raw) for _ in range(ROUNDS)]
        self.row("2,000 files of 16 KiB, 8 threads, cold", "s", results,
                 "raw HTTP", note=self.peak("lakefuse", ours))

    def need_names(self):
        data = os.urandom(4096)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(
                lambda i: self.bucket.put(
                    f"names/d{i // 100:03}/f{i % 100:03}", data),
                range(10000)))

    def raw_listing(self):
        connection = http.client.HTTPConnection(self.host())

        def page(prefix):
            connection.request(
                "GET", "/storage/v1/b/lake/o?delimiter=%2F&maxResults=1000"
                f"&prefix={quote(prefix, safe='')}")
            connection.getresponse().read()
        page("names/")
        for i in range(100):
            page(f"names/d{i:03}/")

    def names(self):
        self.need_names()

        def ls(path):
            subprocess.run(["ls", "-lR", path / "names"], check=True,
                           stdout=subprocess.DEVNULL)

        for where, ms in (("loopback", 0), ("30 ms away", 30)):
            self.server.faults({"latency_ms": ms})
            results, ours = self.rounds([self.lakefuse, *self.peers()],
                                        lambda m: None, ls)
            results["listing requests"] = [timed(self.raw_listing)
                                           for _ in range(ROUNDS)]
            self.server.heal()
            self.row(f"ls -lR of 10,000 cold, {where}", "s", results,
                     "listing requests", 1 / 1.5,
                     note=self.peak("lakefuse", ours))
        again, ours = self.rounds([self.lakefuse, *self.peers()],
                                  lambda m: ls(m.path), ls)
        again["first listing"] = results["lakefuse"]
        self.row("ls -lR of 10,000 again", "s", again, "first listing",
                 note=self.peak("lakefuse", ours))

    def stats(self):
        self.need_names()

        def act(path):
            for d in range(100):
                for f in range(100):
                    os.stat(path / "names" / f"d{d:03}" / f"f{f:03}")

        def warm_up(mount):
            subprocess.run(["ls", "-lR", mount.path / "names"],
                           stdout=subprocess.DEVNULL, check=True)

        results, ours = self.rounds([self.lakefuse, *self.peers()], warm_up,
                                    act)
        local = self.place / "local"
        for d in range(100):
            (local / "names" / f"d{d:03}").mkdir(parents=True, exist_ok=True)
            for f in range(100):
                (local / "names" / f"d{d:03}" / f"f{f:03}").touch()
        results["disk"] = [timed(act, local) for _ in range(ROUNDS)]
        self.row("stat of 10,000 after a listing", "s", results, "disk",
                 note=self.peak("lakefuse", ours))

    ROWS = ("cold", "warm", "random4k", "parquet", "small", "names", "stats")

    def run(self, wanted):
        for name in self.ROWS:
            if not wanted or name in wanted:
                getattr(self, name)()

    def print_table(self):
        print("\n| workload | unit | medians | ratio | goal | |\n"
              "|---|---|---|---|---|---|")
        for name, unit, cells, ratio, goal, verdict, note in self.rows:
            print(f"| {name} | {unit} | {cells} | {ratio} | {goal} | "
                  f"{verdict} {note} |")


def versions():
    def first_line(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True,
                                  timeout=20).stdout.splitlines()[0]
        except (OSError, IndexError, subprocess.TimeoutExpired):
            return None
    print(f"machine: {os.cpu_count()} cores, Linux {platform.release()}, "
          f"load {os.getloadavg()[0]:.1f}; {ROUNDS} rounds")
    print(first_line(LAKEFUSE, "--version"))
    for peer in ("gcsfuse", "rclone", "s3fs"):
        print(first_line(peer, "--version") or f"{peer}: missing")


def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    versions()
    base = os.environ.get("TMPDIR", "/var/tmp")
    place = Path(tempfile.mkdtemp(prefix="lf-bench-", dir=base))
    bench = Bench(place)
    try:
        bench.run(sys.argv[1:])
        bench.print_table()
    finally:
        bench.server.stop()
        shutil.rmtree(place, ignore_errors=True)
    return any(row[5] == "MISSED" for row in bench.rows)


if __name__ == "__main__":
    sys.exit(main())
