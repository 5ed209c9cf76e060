"""Fixtures: `lake` (three sites, healthy), and a watchdog over each test."""

import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

from lake import Lake, Servers  # noqa: E402
from servers import LAKEFUSE, MODE, ROOT, SLOW  # noqa: E402

# After so long a test's daemons are killed: its blocked calls then fail.
WATCHDOG_SECONDS = 900 if SLOW else 300


def pytest_configure(config):
    config.addinivalue_line("markers", "smoke: the quick subset")
    config.addinivalue_line("markers", "watchdog(seconds): a longer limit")


def pytest_collection_modifyitems(items):
    why = None
    if not os.path.exists(LAKEFUSE):
        why = f"{LAKEFUSE} is not built"
    elif not os.access("/dev/fuse", os.R_OK | os.W_OK):
        why = "no access to /dev/fuse"
    elif not shutil.which("fusermount3"):
        why = "no fusermount3"
    if why:
        raise pytest.UsageError(f"mount tests can't run: {why}")


@pytest.fixture(scope="session")
def workplace():
    base = os.environ.get("TMPDIR") or ROOT / "build" / MODE
    path = Path(tempfile.mkdtemp(prefix="lf-test-", dir=base)).resolve()
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def servers(workplace):
    servers = Servers(workplace / "servers")
    yield servers
    servers.stop()


@pytest.fixture
def make_lake(servers, workplace, request):
    """Lakes with options; at the end everything is unmounted and checked."""
    made = []

    def make(**kwargs):
        directory = Path(tempfile.mkdtemp(prefix="t-", dir=workplace))
        made.append(Lake(directory, servers.ready(), **kwargs))
        return made[-1]

    def abort():
        for lake in made:
            lake.abort()

    marker = request.node.get_closest_marker("watchdog")
    seconds = marker.args[0] if marker else WATCHDOG_SECONDS
    watchdog = threading.Timer(seconds, abort)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield make
        servers.ready()
        for lake in made:
            lake.stop()
    finally:
        watchdog.cancel()
        abort()
        for lake in made:
            shutil.rmtree(lake.dir, ignore_errors=True)


@pytest.fixture
def lake(make_lake):
    return make_lake()
