"""Engines read the same rows from the mount as from a local folder."""

import os
import sqlite3
import subprocess

import pytest

from lake import KIB, read

pa = pytest.importorskip("pyarrow")
ds = pytest.importorskip("pyarrow.dataset")
pq = pytest.importorskip("pyarrow.parquet")

N = 30_000


def frame(start, n=N):
    return pa.table({
        "id": pa.array(range(start, start + n), pa.int64()),
        "day": pa.array([f"2026-01-{i % 28 + 1:02}" for i in range(n)]),
        "amount": pa.array([((i * 7919) % 100003) / 7 for i in range(n)]),
        "note": pa.array([None if i % 11 == 0 else f"note {i * i}"
                          for i in range(n)])})


def upload(lake, directory, sites=("dc1",)):
    """Every file of directory that the record does not have yet."""
    for path, _, names in os.walk(directory):
        for file in sorted(names):
            full = os.path.join(path, file)
            name = os.path.relpath(full, directory)
            data = open(full, "rb").read()
            if name in lake.history and lake.data(name) == data:
                continue
            lake.put(name, data)
            for site in sites:
                lake.copy(name, site)


@pytest.fixture
def sales(lake):
    """A folder with Parquet data sets, in the lake as well."""
    local = lake.dir / "local"
    for i in range(4):
        path = local / "sales" / f"part-{i}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(frame(i * N), path, row_group_size=5000)
    ds.write_dataset(frame(0, 2000), local / "by_day", format="parquet",
                     partitioning=["day"], partitioning_flavor="hive")
    upload(lake, local)
    return local


def test_duckdb_reads_the_same_rows(lake, sales):
    duckdb = pytest.importorskip("duckdb")
    mount = lake.mount()
    for query in (
            "select count(*), round(sum(amount), 2), min(note), max(id) from "
            "read_parquet('{}/sales/*.parquet')",
            "select day, count(*), round(avg(amount), 6) from "
            "read_parquet('{}/sales/*.parquet') where id % 3 = 1 "
            "group by day order by day",
            "select * from read_parquet('{}/sales/part-2.parquet') "
            "where id between 60100 and 60120 order by id",
            "select regexp_extract(filename, '[^/]*$'), count(*) from "
            "read_parquet('{}/sales/*.parquet', filename=true) "
            "group by 1 order by 1"):
        want = duckdb.sql(query.format(sales)).fetchall()
        assert duckdb.sql(query.format(mount.path)).fetchall() == want
        assert want


def test_duckdb_hive_partitions(lake, sales):
    duckdb = pytest.importorskip("duckdb")
    mount = lake.mount()
    query = ("select count(*), sum(id) from "
             "read_parquet('{}/by_day/**/*.parquet') where amount > 100")
    assert duckdb.sql(query.format(mount.path)).fetchall() == \
        duckdb.sql(query.format(sales)).fetchall()


@pytest.mark.parametrize("memory_map", [False, True])
@pytest.mark.smoke
def test_pyarrow_reads_the_same_table(lake, sales, memory_map):
    mount = lake.mount()
    for i in range(4):
        name = f"sales/part-{i}.parquet"
        assert pq.read_table(mount / name, memory_map=memory_map).equals(
            pq.read_table(sales / name))
    column = pq.read_table(mount / "sales/part-0.parquet", columns=["amount"])
    assert column.num_rows == N


def test_pyarrow_dataset_with_a_filter(lake, sales):
    mount = lake.mount()
    where = (ds.field("id") > 1000) & (ds.field("id") < 99_000)

    def rows(root):
        return ds.dataset(root / "sales", format="parquet").to_table(
            filter=where).sort_by("id")

    assert rows(mount.path).equals(rows(sales))


def test_pandas_reads_the_same_frames(lake, sales):
    pd = pytest.importorskip("pandas")
    frame(0, 3000).to_pandas().to_csv(sales / "t.csv", index=False)
    upload(lake, sales)
    mount = lake.mount()
    for name, load in (("sales/part-1.parquet", pd.read_parquet),
                       ("t.csv", pd.read_csv)):
        pd.testing.assert_frame_equal(load(mount / name), load(sales / name))


@pytest.mark.parametrize("replica", ["on_time", "late"])
def test_deltalake_sees_every_commit_at_once(lake, replica):
    deltalake = pytest.importorskip("deltalake")
    local = lake.dir / "local"
    mount = lake.mount()
    sites = ("dc1", "dc2") if replica == "on_time" else ()
    for n in range(6):
        mode = "overwrite" if n == 3 else "append"
        deltalake.write_deltalake(str(local / "t"), frame(n * 1000, 1000),
                                  mode=mode)
        upload(lake, local, sites)
        want = deltalake.DeltaTable(str(local / "t"))
        got = deltalake.DeltaTable(str(mount / "t"))
        assert got.version() == want.version() == n
        assert sorted(got.file_uris()) == sorted(
            uri.replace(str(local), str(mount.path))
            for uri in want.file_uris())
        assert got.to_pyarrow_table().sort_by("id").equals(
            want.to_pyarrow_table().sort_by("id"))


def test_deltalake_time_travel_and_vacuumed_files(lake):
    deltalake = pytest.importorskip("deltalake")
    local = lake.dir / "local"
    for n in range(3):
        deltalake.write_deltalake(str(local / "t"), frame(n * 100, 100),
                                  mode="overwrite")
    upload(lake, local)
    mount = lake.mount()
    for version in range(3):
        table = deltalake.DeltaTable(str(mount / "t"), version=version)
        rows = table.to_pyarrow_table()["id"].to_pylist()
        assert sorted(rows) == list(range(version * 100, version * 100 + 100))


def test_sqlite_opens_a_database_read_only(lake):
    path = lake.dir / "db.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("create table t(a)")
        db.executemany("insert into t values (?)", [(i,) for i in range(9999)])
    db.close()
    lake.put("db.sqlite", path.read_bytes())
    mount = lake.mount()
    db = sqlite3.connect(f"file:{mount / 'db.sqlite'}?mode=ro&immutable=1",
                         uri=True)
    assert db.execute("select count(*), sum(a) from t").fetchone() == (
        9999, 9999 * 9998 // 2)
    db.close()


def test_ordinary_tools_see_the_same_bytes(lake):
    for i in range(5):
        lake.put(f"d/{i}.bin", size=(i * 333 + 1) * KIB)
        lake.copy(f"d/{i}.bin")
        path = lake.dir / "local/d" / f"{i}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lake.data(f"d/{i}.bin"))
    mount = lake.mount()
    subprocess.run(["diff", "-r", lake.dir / "local", mount.path], check=True)
    subprocess.run(["cp", "-r", mount / "d", lake.dir / "copied"], check=True)
    subprocess.run(["diff", "-r", mount / "d", lake.dir / "copied"],
                   check=True)
    out = subprocess.run(["tar", "-C", mount.path, "-cf", "-", "d"],
                         check=True, capture_output=True).stdout
    assert len(out) > 5 * 333 * KIB
    assert read(mount / "d/3.bin") == lake.data("d/3.bin")
