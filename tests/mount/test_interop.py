"""Other people's servers and clients: not only our own idea of the formats."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from content import content
from lake import BIG, BOUND, KIB, read, within
from servers import wait_for

boto3 = pytest.importorskip("boto3")
KEYS = ("AKIDEXAMPLE", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def find_program(name):
    """From PATH or Go's own folder."""
    folders = [os.environ.get("GOBIN"),
               os.path.join(os.environ.get("GOPATH",
                                           os.path.expanduser("~/go")), "bin")]
    found = shutil.which(name) or next(
        (p for p in (os.path.join(f, name) for f in folders if f)
         if os.access(p, os.X_OK)), None)
    if not found:
        pytest.skip(f"{name} is not installed: no Go here")
    return found


@pytest.fixture
def start_server(lake):
    """Starts a program and waits until its port answers."""
    started = []

    def start(port, *args, env=None):
        log = open(lake.dir / f"server-{port}.log", "ab")
        process = subprocess.Popen(
            [str(a) for a in args], stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, cwd=lake.dir, env={**os.environ, **(env or {})})
        started.append(process)

        def answers():
            assert process.poll() is None, Path(log.name).read_text()[-2000:]
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                return False

        wait_for(f"port {port}", BOUND, answers)
        return f"http://127.0.0.1:{port}"

    yield start
    lake.stop()
    for process in started:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def s3_client(endpoint):
    from botocore.config import Config
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1",
                        aws_access_key_id=KEYS[0],
                        aws_secret_access_key=KEYS[1],
                        config=Config(s3={"addressing_style": "path"}))


def s3_replica(lake, name, endpoint):
    keys = lake.dir / f"{name}.keys"
    keys.write_text(f"[default]\naws_access_key_id = {KEYS[0]}\n"
                    f"aws_secret_access_key = {KEYS[1]}\n")
    keys.chmod(0o600)
    return {"name": name, "url": "s3://replica", "endpoint": endpoint,
            "credentials": str(keys), "stamp": "x-amz-meta-generation"}


def judge_s3(lake, endpoint):
    """One copy of each kind, put there by boto3."""
    client = s3_client(endpoint)
    client.create_bucket(Bucket="replica")
    names = {how: f"d/{how} ü+.bin" for how in
             ("exact", "unstamped", "stale", "torn", "absent", "parts",
              "parts_unproven")}
    for how, name in names.items():
        lake.put(name, size=BIG * 2 if "parts" in how else 50 * KIB)
        old = (lake.generation(name), lake.data(name))
        lake.put(name, size=len(old[1]))
        now = (lake.generation(name), lake.data(name))
        if how == "absent":
            continue
        if "parts" in how:
            start = client.create_multipart_upload(
                Bucket="replica", Key=name,
                Metadata={"generation": str(now[0])} if how == "parts" else {})
            parts = []
            cut = 5 * KIB * KIB
            for i, at in enumerate(range(0, len(now[1]), cut), 1):
                part = client.upload_part(
                    Bucket="replica", Key=name, PartNumber=i,
                    UploadId=start["UploadId"], Body=now[1][at:at + cut])
                parts.append({"PartNumber": i, "ETag": part["ETag"]})
            client.complete_multipart_upload(
                Bucket="replica", Key=name, UploadId=start["UploadId"],
                MultipartUpload={"Parts": parts})
            continue
        generation, data = old if how == "stale" else now
        client.put_object(
            Bucket="replica", Key=name,
            Body=data[:-100] if how == "torn" else data,
            Metadata={} if how == "unstamped"
            else {"generation": str(generation)})
    mount = lake.mount(replicas=[s3_replica(lake, "other", endpoint)],
                       here="other")
    lake.far_record(150)  # those servers take their time
    sites = {}
    for how, name in names.items():
        lake.check(name, within(BOUND, mount.read, name))
        sites[how] = mount.site(name)
    assert sites == {"exact": "other", "unstamped": "other",
                     "parts": "other", "stale": "record", "torn": "record",
                     "absent": "record", "parts_unproven": "record"}


def test_interop_moto_is_a_replica(lake, start_server):
    pytest.importorskip("moto.server")
    port = free_port()
    endpoint = start_server(port, sys.executable, "-m", "moto.server",
                            "-H", "127.0.0.1", "-p", port)
    judge_s3(lake, endpoint)


def test_interop_versitygw_is_a_replica(lake, start_server):
    program = find_program("versitygw")
    port = free_port()
    (lake.dir / "versity").mkdir()
    endpoint = start_server(
        port, program, "--port", f"127.0.0.1:{port}", "--access", KEYS[0],
        "--secret", KEYS[1], "posix", lake.dir / "versity")
    judge_s3(lake, endpoint)


def test_interop_boto3_fills_our_own_s3_server(lake):
    client = s3_client(lake.dc1.endpoint)
    lake.put("f.bin", size=200 * KIB)
    client.put_object(Bucket=lake.dc1.name, Key="f.bin",
                      Body=lake.data("f.bin"),
                      Metadata={"generation": str(lake.generation("f.bin"))})
    mount = lake.mount(replicas=["dc1"])
    lake.check("f.bin", mount.read("f.bin"))
    assert mount.site("f.bin") == "dc1"


def gcs_client(endpoint):
    storage = pytest.importorskip("google.cloud.storage")
    from google.auth.credentials import AnonymousCredentials
    return storage.Client(project="test", credentials=AnonymousCredentials(),
                          client_options={"api_endpoint": endpoint})


def test_interop_google_cloud_storage_writes_what_we_read(lake):
    """Google's own client: multipart, resumable, composed, symlink, mtime."""
    bucket = gcs_client(lake.record.endpoint).bucket(lake.record.name)
    one, two = content("one", 1, 100 * KIB), content("two", 1, 300 * KIB)
    bucket.blob("d/one.bin").upload_from_string(one)
    big = bucket.blob("d/two.bin", chunk_size=256 * KIB)
    local = lake.dir / "two"
    local.write_bytes(two)
    big.upload_from_filename(local)
    bucket.blob("d/both.bin").compose([bucket.blob("d/one.bin"), big])
    mount = lake.mount(replicas=[])
    assert read(mount / "d/one.bin") == one
    assert read(mount / "d/two.bin") == two
    assert read(mount / "d/both.bin") == one + two
    bucket.blob("d/one.bin").upload_from_string(b"new")
    assert read(mount / "d/one.bin") == b"new"
    bucket.blob("d/one.bin").delete()
    assert not (mount / "d/one.bin").exists() or read(
        mount / "d/two.bin") == two


def test_interop_fake_gcs_server_is_a_record(lake, start_server):
    program = find_program("fake-gcs-server")
    port = free_port()
    endpoint = start_server(
        port, program, "-scheme", "http", "-host", "127.0.0.1", "-port", port,
        "-backend", "memory", "-public-host", f"127.0.0.1:{port}")
    client = gcs_client(endpoint)
    bucket = client.create_bucket("record")
    names = [f"d/{i} ü.bin" for i in range(30)] + ["top.bin", "a/b/c/deep.bin"]
    for i, name in enumerate(names):
        bucket.blob(name).upload_from_string(content(name, 1, i * 20 * KIB))
    bucket.blob("big.bin").upload_from_string(content("big.bin", 1, BIG))
    mount = lake.mount(replicas=[], record={
        "url": "gs://record", "endpoint": endpoint,
        "credentials": "anonymous"})
    assert sorted(os.listdir(mount.path)) == ["a", "big.bin", "d", "top.bin"]
    assert len(os.listdir(mount / "d")) == 30
    for i, name in enumerate(names):
        assert within(BOUND, read, mount / name) == content(name, 1,
                                                            i * 20 * KIB)
    assert read(mount / "big.bin") == content("big.bin", 1, BIG)
    bucket.blob("top.bin").upload_from_string(b"second version")
    assert read(mount / "top.bin") == b"second version"
