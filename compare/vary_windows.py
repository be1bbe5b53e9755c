#!/usr/bin/env python3
"""Writes so many Windows events to standard output: those of a log in flat JSON lines again and again, each time with other
hosts, users, times and ids, as a few thousand machines would write them. The same each time.

    compare/vary_windows.py flat.ndjson 1000000 > varied.ndjson
"""
import datetime
import itertools
import json
import random
import re
import sys

GUID = re.compile(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}")
IDS = {"ProcessId", "ParentProcessId", "NewProcessId", "ThreadID", "ProcessID", "Execution_ProcessID", "Execution_ThreadID", "SourcePort", "TargetLogonId", "SubjectLogonId", "LogonId"}
BEGAN = datetime.datetime(2026, 9, 1, tzinfo=datetime.timezone.utc)


def main() -> None:
    path, count = sys.argv[1], int(sys.argv[2])
    draw = random.Random(7)
    with open(path, encoding="utf-8") as lines:
        events = [json.loads(line) for line in lines]
    for number, event in enumerate(itertools.islice(itertools.cycle(events), count)):
        # A machine and its people for each; some have far more events than others.
        host = int(3000 ** draw.random()) - 1
        event = dict(event)
        time = BEGAN + datetime.timedelta(milliseconds=250 * number + draw.randrange(250))
        for name, value in event.items():
            if name in ("Computer", "Hostname"):
                event[name] = f"WS{host:04}.corp.example"
            elif "Time" in name and isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[T ]", value):
                sep = value[10]
                event[name] = time.strftime(f"%Y-%m-%d{sep}%H:%M:%S.") + f"{time.microsecond:06}" + ("Z" if value.endswith("Z") else "")
            elif "User" in name and isinstance(value, str) and value and "SYSTEM" not in value and not value.startswith("S-1-"):
                event[name] = f"{value.rsplit(chr(92), 1)[0]}\\user{host:04}" if "\\" in value else f"user{host:04}"
            elif name in IDS and isinstance(value, int):
                event[name] = draw.randrange(4, 20000)
            elif name in IDS and isinstance(value, str) and value.startswith("0x"):
                event[name] = hex(draw.randrange(1 << 24))
            elif name == "EventRecordID":
                event[name] = number + 1
            elif isinstance(value, str) and "-" in value and GUID.search(value) and "Provider" not in name:
                event[name] = GUID.sub(lambda _: "%08x-%04x-%04x-%04x-%012x" % (draw.getrandbits(32), draw.getrandbits(16), draw.getrandbits(16), draw.getrandbits(16), draw.getrandbits(48)), value)
        sys.stdout.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
