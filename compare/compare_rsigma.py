"""Compares two sets of (file, record, rule) and explains each that only RSigma reports, or fails."""

import collections
import json
import pathlib
import sys

import yaml

# The channel of each Windows service that a rule of the corpus names and that only RSigma ran elsewhere.
CHANNELS = {
    "application": "Application",
    "capi2": "Microsoft-Windows-CAPI2/Operational",
    "codeintegrity-operational": "Microsoft-Windows-CodeIntegrity/Operational",
}


def load_rules(folder):
    rules = {}
    for path in pathlib.Path(folder).rglob("*.yml"):
        for rule in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if rule and "logsource" in rule:
                rules[rule["id"]] = rule
    return rules


def mismatch(source, event):
    """Why a rule is not meant for a Windows event, or None."""
    if source.get("product", "windows") != "windows":
        return "rule for " + source["product"]
    if source.get("category") == "database":
        return "rule for databases"
    channel = CHANNELS.get(source.get("service"))
    if channel and event.get("Channel") != channel:
        return "rule for another channel"
    return None


def main():
    rules = load_rules(sys.argv[1])
    theirs, events = set(), {}
    for line in open(sys.argv[2], encoding="utf-8"):
        found = json.loads(line)
        event = found["event"]
        key = (event["compare_file"], event["compare_record"], found["rule_id"])
        theirs.add(key)
        events[key] = event
    ours = set()
    for line in open(sys.argv[3], encoding="utf-8"):
        found = json.loads(line)
        ours.add((found["source"].split("evtx-attack-samples/")[1], found["record"], found["id"]))

    explained, unexplained = collections.Counter(), []
    for key in theirs - ours:
        why = mismatch(rules[key[2]]["logsource"], events[key])
        if why:
            explained[why] += 1
        else:
            unexplained.append(key)
    print(f"RSigma {len(theirs)}, Cresset {len(ours)}, both {len(theirs & ours)}")
    for why, count in explained.most_common():
        print(f"  only RSigma, {why}, run on Windows events: {count}")
    for file, record, rule in sorted(ours - theirs):
        print(f"  only Cresset: {file} record {record}: {rules[rule]['title']}")
    for file, record, rule in sorted(unexplained):
        print(f"  MISSING: {file} record {record}: {rules[rule]['title']}")
    return 1 if unexplained else 0


sys.exit(main())
