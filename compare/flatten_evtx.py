"""Writes the records of event logs as flat JSON lines, with the file and record number that each came from."""

import json
import pathlib
import sys

import evtx


def text(value):
    """The text of an element that also has attributes."""
    return value["#text"] if isinstance(value, dict) and "#text" in value else value


def flatten(event):
    system = event["System"]
    flat = {key: text(value) for key, value in system.items() if not isinstance(value, dict) or "#text" in value}
    flat["Provider_Name"] = system.get("Provider", {}).get("#attributes", {}).get("Name")
    flat["TimeCreated"] = system.get("TimeCreated", {}).get("#attributes", {}).get("SystemTime")
    data = event.get("EventData")
    user_data = event.get("UserData")
    if isinstance(user_data, dict):
        data = next((value for value in user_data.values() if isinstance(value, dict)), None)
    if isinstance(data, dict):
        flat.update({key: text(value) for key, value in data.items() if key != "#attributes"})
    return flat


def main():
    root = pathlib.Path(sys.argv[1])
    for path in sorted(root.rglob("*.evtx")):
        for record in evtx.PyEvtxParser(str(path)).records_json():
            flat = flatten(json.loads(record["data"])["Event"])
            flat["compare_file"] = str(path.relative_to(root))
            flat["compare_record"] = int(flat["EventRecordID"])
            print(json.dumps(flat))


main()
