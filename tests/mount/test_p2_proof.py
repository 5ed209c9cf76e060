"""P2: a replica serves only bytes that are proven to be the record's."""

import pytest

from lake import BIG, KIB, read

# How a copier can go wrong -> what such a copy is refused as.
LIES = {
    "stale": "stale",
    "newer": "stale",
    "torn": "torn",
    "longer": "torn",
    "stale_composed": None,
    "stale_unstamped": None,  # its md5 is another one: stale or unproven
    "absent": "absent",
}
SIZES = pytest.mark.parametrize("size", [4 * KIB, BIG], ids=["small", "big"])


@SIZES
@pytest.mark.parametrize("how", LIES)
def test_p2_unproven_copy_is_never_served(lake, how, size):
    lake.put("d/f.bin", size=size)
    lake.put("d/f.bin", size=size)
    lake.copy("d/f.bin", "dc1", how)
    mount = lake.mount(replicas=["dc1"])
    lake.check("d/f.bin", read(mount / "d/f.bin"))
    dc1 = next(s for s in mount.status()["sites"] if s["name"] == "dc1")
    assert dc1["read_bytes"] == 0, dc1
    copy = mount.copy_at("d/f.bin", "dc1")
    assert copy["proof"] == "none", copy
    assert copy["why"], copy
    if LIES[how]:
        assert mount.refused(LIES[how]) > 0, mount.status()["sites"]
    else:
        assert mount.refused("stale") + mount.refused("unproven") > 0


@SIZES
@pytest.mark.parametrize("how, proof", [("exact", "stamp"),
                                        ("unstamped", "checksum"),
                                        ("composed", "checksum")])
@pytest.mark.smoke
def test_p2_a_proven_copy_serves(lake, how, proof, size):
    lake.put("f.bin", size=size)
    lake.copy("f.bin", "dc1", how)
    mount = lake.mount(replicas=["dc1"])
    before = lake.record.server.counters()
    lake.check("f.bin", mount.read("f.bin"))
    assert (lake.record.server.counters() - before)["media"] == 0
    assert mount.site("f.bin") == "dc1"
    assert mount.proof("f.bin") == proof
    assert mount.copy_at("f.bin", "dc1")["proof"] == proof
    assert mount.copy_at("f.bin", "record")["proof"] == "native"


@SIZES
def test_p2_a_gcs_replica_is_proven_by_its_crc32c(lake, size):
    lake.put("f.bin", size=size)
    lake.copy("f.bin", "dc2", "unstamped")
    mount = lake.mount(replicas=["dc2"], here="dc2")
    lake.check("f.bin", mount.read("f.bin"))
    assert mount.site("f.bin") == "dc2"
    assert mount.proof("f.bin") == "checksum"


@SIZES
@pytest.mark.parametrize("how", ["stale_unstamped", "torn", "longer"])
def test_p2_a_gcs_replica_with_other_bytes_is_refused(lake, how, size):
    lake.put("f.bin", size=size)
    lake.put("f.bin", size=size)
    lake.copy("f.bin", "dc2", how)
    mount = lake.mount(replicas=["dc2"], here="dc2")
    lake.check("f.bin", read(mount / "f.bin"))
    assert mount.copy_at("f.bin", "dc2")["proof"] == "none"


@SIZES
@pytest.mark.parametrize("how", ["exact", "unstamped", "stale", "torn",
                                 "stale_unstamped", "absent"])
def test_p2_a_directory_replica(make_lake, how, size):
    lake = make_lake(dc2_directory=True)
    lake.put("d/f.bin", size=size)
    lake.put("d/f.bin", size=size)
    lake.copy("d/f.bin", "dc2", how)
    mount = lake.mount(replicas=["dc2"], here="dc2")
    lake.far_record(50)
    lake.check("d/f.bin", mount.read("d/f.bin"))
    if how == "exact":
        assert mount.site("d/f.bin") == "dc2"
        assert mount.proof("d/f.bin") == "stamp"
    elif how != "unstamped":  # that one may be summed up later on
        assert mount.site("d/f.bin") == "record"
        assert mount.copy_at("d/f.bin", "dc2")["proof"] == "none"


def test_p2_a_warm_read_of_a_replica_costs_no_extra_request(lake):
    names = [f"w/{i}.bin" for i in range(20)]
    for name in names:
        lake.put(name)
        lake.copy(name)
    mount = lake.mount(replicas=["dc1"])
    read(mount / names[0])
    before = lake.dc1.server.counters()
    for name in names[1:]:
        lake.check(name, read(mount / name))
    asked = lake.dc1.server.counters() - before
    assert asked["media"] == len(names) - 1
    assert asked.requests == asked["media"], asked


@SIZES
def test_p2_a_copy_that_comes_late_serves_then(lake, size):
    """Refusing a copy is no verdict for ever: the copier catches up."""
    lake.put("late.bin", size=size)
    mount = lake.mount(replicas=["dc1"], cache={"size": "1MiB"})
    read(mount / "late.bin")
    lake.put("late.bin", size=size)
    lake.copy("late.bin", how="stale")
    lake.check("late.bin", read(mount / "late.bin"))
    lake.copy("late.bin")
    lake.put("other.bin", size=size)
    lake.copy("other.bin")
    lake.check("other.bin", read(mount / "other.bin"))
    assert mount.copy_at("late.bin", "dc1")["proof"] == "stamp"


@pytest.mark.parametrize("how", ["stale", "newer", "stale_composed"])
def test_p2_twin_without_proof_other_bytes_are_read(lake, how):
    lake.put("f.bin", size=BIG)
    lake.put("f.bin", size=BIG)
    lake.copy("f.bin", "dc1", how)
    mount = lake.mount(replicas=["dc1"], unsafe=["proof", "crc"])
    with pytest.raises(AssertionError):
        lake.check("f.bin", read(mount / "f.bin"))
