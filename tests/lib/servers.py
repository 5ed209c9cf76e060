"""The sites of a test lake: `lakefuse serve` processes and their buckets."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import requests

ROOT = Path(__file__).resolve().parents[2]
MODE = os.environ.get("M", "debug")
LAKEFUSE = os.environ.get("LAKEFUSE", str(ROOT / "build" / MODE / "lakefuse"))
SLOW = MODE in ("asan", "tsan")
START_SECONDS = 60 if SLOW else 20
SANITIZER = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer",
             "runtime error:")


def wait_for(what, seconds, check, step=0.02):
    """Returns check()'s first true answer; fails after seconds."""
    end = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        assert time.monotonic() < end, f"no {what} after {seconds} s"
        time.sleep(step)


def sanitizer_report(text):
    """The text from the first sanitizer report on, or None."""
    places = [text.find(word) for word in SANITIZER if word in text]
    return text[max(0, min(places) - 80):][:6000] if places else None


class Server:
    """One `lakefuse serve`: a GCS and an S3 face over one directory."""

    def __init__(self, directory, name):
        self.dir = Path(directory)
        self.name = name
        self.ports = {"gcs": 0, "s3": 0}
        self.proc = None
        self.http = requests.Session()
        self.http.trust_env = False
        self.dir.mkdir(parents=True)
        self.start()

    def start(self):
        """Also again after kill(), on the same ports and directory."""
        port_file = self.dir / "ports"
        port_file.unlink(missing_ok=True)
        self.errors = open(self.dir / "stderr", "ab")
        self.proc = subprocess.Popen(
            [LAKEFUSE, "serve", "--dir", self.dir / "data",
             "--gcs", str(self.ports["gcs"]), "--s3", str(self.ports["s3"]),
             "--port-file", port_file],
            stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors)
        wait_for(f"{self.name} server", START_SECONDS,
                 lambda: self._read_ports(port_file))

    def _read_ports(self, path):
        if self.proc.poll() is not None:
            raise AssertionError(
                f"serve ended with {self.proc.returncode}: " +
                (self.dir / "stderr").read_text(errors="replace")[-500:])
        if not path.exists():
            return False
        self.ports = json.loads(path.read_text())
        return True

    @property
    def gcs(self):
        return f"http://127.0.0.1:{self.ports['gcs']}"

    @property
    def s3(self):
        return f"http://127.0.0.1:{self.ports['s3']}"

    def freeze(self):
        self.proc.send_signal(signal.SIGSTOP)
        wait_for("a frozen server", 20, lambda: not self.alive())

    def thaw(self):
        self.proc.send_signal(signal.SIGCONT)

    def kill(self):
        self.thaw()
        self.proc.kill()
        self.proc.wait(20)
        self.http.close()

    def stop(self):
        """Ends it in good order; what the sanitizers said is a failure."""
        if self.proc.poll() is None:
            self.thaw()
            self.proc.terminate()
            try:
                self.proc.wait(30)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait(20)
        self.errors.close()
        self.http.close()
        text = (self.dir / "stderr").read_text(errors="replace")
        shutil.rmtree(self.dir, ignore_errors=True)
        report = sanitizer_report(text)
        assert not report, report

    def alive(self):
        if self.proc.poll() is not None:
            return False
        state = Path(f"/proc/{self.proc.pid}/stat").read_text()
        return state.rsplit(")", 1)[1].split()[0] != "T"

    def ask(self, method, path, **kwargs):
        answer = self.http.request(method, self.gcs + path, timeout=60,
                                   **kwargs)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def faults(self, *faults):
        """Replaces what was set; keys: the table in serve/faults.c."""
        self.ask("POST", "/_lakefuse/faults", data=json.dumps(list(faults)))

    def heal(self):
        self.ask("DELETE", "/_lakefuse/faults")

    def counters(self):
        return Counters(self.ask("GET", "/_lakefuse/requests").json())

    def log(self):
        return self.ask("GET", "/_lakefuse/log").json()


class Counters(dict):
    """Requests by kind, as the server counted them."""

    def __sub__(self, before):
        return Counters({k: v - before.get(k, 0) for k, v in self.items()
                         if isinstance(v, (int, float))})

    @property
    def requests(self):
        """What clients sent, whatever kind it was."""
        return self["total"]


class GcsBucket:
    scheme = "gs"
    stamp_key = "x-goog-meta-generation"

    def __init__(self, server, name, config=None):
        self.server = server
        self.name = name
        server.ask("POST", "/storage/v1/b?project=test",
                   json={"name": name, **(config or {})})

    @property
    def endpoint(self):
        return self.server.gcs

    def put(self, name, data, metadata=None, stamp=None, **condition):
        """Returns the new generation."""
        resource = {"name": name, "contentType": "application/octet-stream"}
        metadata = dict(metadata or {})
        if stamp:
            metadata["generation"] = str(stamp)
        if metadata:
            resource["metadata"] = metadata
        edge = "lakefuse-edge-7d1c"
        body = b"".join((
            f"--{edge}\r\nContent-Type: application/json\r\n\r\n".encode(),
            json.dumps(resource).encode(),
            f"\r\n--{edge}\r\nContent-Type: application/octet-stream\r\n\r\n"
            .encode(), data, f"\r\n--{edge}--".encode()))
        answer = self.server.ask(
            "POST", f"/upload/storage/v1/b/{self.name}/o",
            params={"uploadType": "multipart", **condition}, data=body,
            headers={"Content-Type": f"multipart/related; boundary={edge}"})
        return int(answer.json()["generation"])

    def delete(self, name):
        self.server.ask(
            "DELETE", f"/storage/v1/b/{self.name}/o/{quote(name, safe='')}")


class S3Bucket:
    scheme = "s3"
    stamp_key = "x-amz-meta-generation"

    def __init__(self, server, name):
        self.server = server
        self.name = name
        self._ask("PUT", "")

    @property
    def endpoint(self):
        return self.server.s3

    def _ask(self, method, name, query="", **kwargs):
        url = f"{self.server.s3}/{self.name}"
        if name:
            url += "/" + quote(name, safe="/")
        answer = self.server.http.request(method, url + query, timeout=60,
                                          **kwargs)
        assert answer.ok, f"{method} {url}: {answer.status_code} {answer.text}"
        return answer

    @staticmethod
    def _headers(stamp):
        return {"x-amz-meta-generation": str(stamp)} if stamp else {}

    def put(self, name, data, stamp=None):
        self._ask("PUT", name, data=data, headers=self._headers(stamp))

    def put_composed(self, name, data):
        """
        As if it had been sent in parts: the ETag is no md5 of the content.
        Made on the same bucket's GCS face, by composing.
        """
        at = f"/storage/v1/b/{self.name}/o"
        self.server.ask("POST", f"/upload{at}", data=data, params={
            "uploadType": "media", "name": ".part"})
        self.server.ask("POST", f"{at}/{quote(name, safe='')}/compose",
                        json={"sourceObjects": [{"name": ".part"}]})
        self.server.ask("DELETE", f"{at}/.part")

    def delete(self, name):
        self._ask("DELETE", name)


class DirBucket:
    scheme = "file"
    stamp_key = "user.generation"
    endpoint = None

    def __init__(self, directory):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True)
        self.n = 0

    def put(self, name, data, stamp=None):
        """As a careful copier does: whole, then renamed into place."""
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.n += 1
        temporary = path.parent / f".copy.{self.n}"
        temporary.write_bytes(data)
        if stamp:
            os.setxattr(temporary, self.stamp_key, str(stamp).encode())
        temporary.rename(path)

    def delete(self, name):
        (self.dir / name).unlink()
