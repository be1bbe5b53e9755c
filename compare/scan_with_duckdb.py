#!/usr/bin/env python3
"""Looks for values in the Parquet files of an archive by scanning them with DuckDB, and compares with what a hunt found.

    compare/scan_with_duckdb.py ARCHIVE VALUES FOUND.jsonl
"""
import json
import sys
import time

import duckdb

COLUMNS = ["src_ip", "dest_ip", "query", "sha256", "user"]


def main() -> None:
    archive, values, found = sys.argv[1:]
    with duckdb.connect() as db:
        db.sql("set threads = 2")
        db.execute("create table wanted as select distinct value from read_csv(?, header = false, columns = {'value': 'varchar'})", [values])
        files = f"read_parquet('{archive}/events/*/*.parquet', union_by_name = true)"
        each = " union all ".join(f'select "{name}" as value, time, host from {files} where "{name}" in (select value from wanted)' for name in COLUMNS)
        query = f"select value, count(*), min(time), max(time), count(distinct host) from ({each}) group by value"
        for run in range(4):
            began = time.monotonic()
            theirs = {row[0]: (row[1], row[4]) for row in db.sql(query).fetchall()}
            print(f"{time.monotonic() - began:.2f} s" + (" (first, not counted)" if run == 0 else ""))
    with open(found, encoding="utf-8") as lines:
        ours = {line["value"]: (line["count"], len(line["hosts"])) for line in map(json.loads, lines)}
    print("the same is found" if ours == theirs else f"DIFFERENT: {len(ours)} and {len(theirs)} values", f"({len(ours)} values, {sum(count for count, _ in ours.values())} times)")


if __name__ == "__main__":
    main()
