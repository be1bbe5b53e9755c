#!/usr/bin/env python3
"""Asks DuckDB over the Parquet files of an archive: two threads, the page cache warm; the best of three, without its start.

    compare/ask_duckdb.py ARCHIVE "select count(*) from events"
"""
import sys
import time

import duckdb


def main() -> None:
    folder, query = sys.argv[1:]
    duckdb.execute("set threads = 2; set timezone = 'UTC'")
    duckdb.execute(f"create view events as select * from read_parquet('{folder}/events/*/*.parquet', union_by_name = true)")
    took = []
    for _ in range(3):
        began = time.perf_counter()
        rows = duckdb.sql(query).fetchall()
        took.append(time.perf_counter() - began)
    print(f"DuckDB {duckdb.__version__}: {min(took):.3f} s, {len(rows)} rows, the first {rows[:1]}")


if __name__ == "__main__":
    main()
