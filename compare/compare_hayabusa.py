"""Compares two sets of (file, record, rule) and explains each that only one of them has, or fails.

Hayabusa runs rules that were converted from SigmaHQ's: each says which it was derived from. An explanation is never
taken on trust: the rule is evaluated here on the record, once as Sigma has it and once with a single peculiarity of
Hayabusa's, and the peculiarity explains the difference only if it alone turns the outcome.
"""

import collections
import fnmatch
import json
import pathlib
import re
import sys

import yaml

# What Hayabusa reads otherwise than the specification. The names go into `holds`.
PECULIARITIES = {
    "backslashes": r"Hayabusa takes \\ for two backslashes in a value with a wildcard inside",
    "spaces": "Hayabusa cuts spaces off the ends of a record's values",
    "dashes": "Hayabusa's windash looks at the first dash or slash of a record's value alone",
}
LOST_REFERENCE = "Hayabusa's conversion renames fields, but not in the value of fieldref"
OTHER_EVENTS = "Hayabusa's conversion is for other events"

# Sigma's names of the fields of a process creation in the Security log, for rules that were not converted.
AUDIT_NAMES = {"Image": "NewProcessName", "ParentImage": "ParentProcessName", "User": "SubjectUserName"}

DASHES = "-/\u2013\u2014\u2015"
SIGMA_TOKENS = re.compile(r"\\[\\*?]|[*?]|.", re.DOTALL)
HAYABUSA_TOKENS = re.compile(r"\\\\[*?]|\\[*?]|[*?]|.", re.DOTALL)


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML 1.2: `no` and `off` are words."""


Loader.yaml_implicit_resolvers = {
    start: [(tag, match) for tag, match in resolvers if not tag.endswith(":bool")]
    for start, resolvers in Loader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$", re.IGNORECASE), list("tTfF"))


class Unread(Exception):
    """A part of a rule that is not evaluated here: what hangs on it stays unexplained."""


def load_rules(folder):
    rules = {}
    for path in pathlib.Path(folder).rglob("*.yml"):
        for rule in yaml.load_all(path.read_text(encoding="utf-8"), Loader=Loader):
            if rule and "detection" in rule:
                rules[rule["id"]] = rule
    return rules


def origin(rule, originals):
    """The id that a converted rule had at SigmaHQ: it is appended to the related ones, unless it was among them."""
    related = rule.get("related") or []
    derived = [one["id"] for one in related if one["type"] == "derived"]
    candidates = derived[::-1] + [one["id"] for one in related] + [rule["id"]]
    same_title = (one for one in candidates if one in originals and originals[one]["title"] == rule["title"])
    return next(same_title, derived[-1] if derived else None)


def selections(rule):
    return {name: value for name, value in rule["detection"].items() if name not in ("condition", "timeframe")}


def same_content(original, converted):
    """Whether both are one version: a conversion keeps the dates and the selections, and adds one for the channel."""
    versions = [rule.get("modified", rule.get("date")) for rule in (original, converted)]
    return versions[0] == versions[1] and set(selections(original)) < set(selections(converted))


def regex(tokens, windash=False):
    parts = []
    for token in tokens:
        if token[-1] in "*?" and (len(token) != 2):
            parts.append((r"\\" if len(token) == 3 else "") + (".*" if token[-1] == "*" else "."))
        else:
            dash = windash and token in DASHES
            parts.append(f"[{DASHES}]" if dash else re.escape(token[-1]))
    return "".join(parts)


def matches(pattern, modifiers, value, peculiar):
    """Whether a value of a record is what a rule asks for."""
    before = "*" if {"contains", "endswith"} & modifiers else ""
    after = "*" if {"contains", "startswith"} & modifiers else ""
    if "dashes" in peculiar and "windash" in modifiers:
        first = f"[{DASHES}]"
        pattern, value = pattern.lower(), re.sub(first, "/", value.lower(), count=1)
        return pattern in value or re.sub(first, "/", pattern, count=1) in value
    flags = re.DOTALL if "cased" in modifiers else re.DOTALL | re.IGNORECASE
    if "backslashes" in peculiar:
        whole = before + pattern + ("\\" if after and pattern.endswith("\\") else "") + after
        inside = whole.removeprefix("*").removesuffix("*")
        if "*" in inside or "?" in inside or whole.endswith(r"\\\*"):
            return re.fullmatch(regex(HAYABUSA_TOKENS.findall(whole)), value, flags) is not None
    expression = regex(SIGMA_TOKENS.findall(pattern), "windash" in modifiers)
    return re.fullmatch((before and ".*") + expression + (after and ".*"), value, flags) is not None


def text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def item_holds(key, asked, event, peculiar):
    field, *modifiers = key.split("|")
    modifiers = set(modifiers)
    if not field or modifiers - {"contains", "startswith", "endswith", "all", "windash", "cased", "fieldref"}:
        raise Unread(key)
    values = event.get(field)
    values = values if isinstance(values, list) else [values]
    if "spaces" in peculiar:
        values = [value.strip() if isinstance(value, str) else value for value in values]
    outcomes = []
    for one in asked if isinstance(asked, list) else [asked]:
        if one is None:
            outcomes.append(values == [None])
        elif "fieldref" in modifiers:
            other = event.get(one)
            outcomes.append(other is not None and text(other).lower() in (text(value).lower() for value in values))
        else:
            present = [text(value) for value in values if value is not None]
            outcomes.append(any(matches(text(one), modifiers, value, peculiar) for value in present))
    return all(outcomes) if "all" in modifiers else any(outcomes)


def selection_holds(selection, event, peculiar):
    if isinstance(selection, list):
        return any(selection_holds(one, event, peculiar) for one in selection)
    if not isinstance(selection, dict):
        raise Unread("keywords")
    return all(item_holds(key, asked, event, peculiar) for key, asked in selection.items())


def holds(rule, event, peculiar=()):
    """Whether a rule matches a record."""
    parts = selections(rule)
    tokens = re.findall(r"[()]|[^\s()]+", rule["detection"]["condition"])

    def holds_all(names):
        return [selection_holds(parts[name], event, peculiar) for name in names]

    def either():
        outcome = both()
        while tokens and tokens[0] == "or":
            tokens.pop(0)
            outcome = both() or outcome
        return outcome

    def both():
        outcome = single()
        while tokens and tokens[0] == "and":
            tokens.pop(0)
            outcome = single() and outcome
        return outcome

    def single():
        token = tokens.pop(0)
        if token == "not":
            return not single()
        if token == "(":
            outcome = either()
            tokens.pop(0)
            return outcome
        if token in ("1", "any", "all") and tokens and tokens[0] == "of":
            wanted = "*" if tokens[1] == "them" else tokens[1]
            del tokens[:2]
            outcomes = holds_all(name for name in parts if fnmatch.fnmatchcase(name, wanted))
            return all(outcomes) if token == "all" else any(outcomes)
        return holds_all([token])[0]

    return either()


def peculiarity(rule, event):
    """The one peculiarity of Hayabusa's that turns the outcome, or None."""
    plain = holds(rule, event)
    return next((name for name in PECULIARITIES if holds(rule, event, {name}) != plain), None)


def references(detection):
    """The fields that `fieldref` names."""
    if isinstance(detection, list):
        return [name for one in detection for name in references(one)]
    if not isinstance(detection, dict):
        return []
    here = [value for key, value in detection.items() if "|fieldref" in str(key)]
    return here + [name for value in detection.values() for name in references(value)]


def why_only_hayabusa(fired, event):
    for rule in fired:
        name = None if holds(rule, event) else peculiarity(rule, event)
        if name:
            return PECULIARITIES[name]
    return None


def why_only_cresset(original, converted, event):
    audit = event["Channel"] == "Security"
    named = {**{name: event.get(theirs) for name, theirs in AUDIT_NAMES.items() if audit}, **event}
    if not holds(original, named):
        return None
    why = OTHER_EVENTS
    for rule in converted:
        added = set(selections(rule)) - set(selections(original))
        if not all(selection_holds(rule["detection"][name], event, ()) for name in added):
            continue
        if holds(rule, event):
            name = peculiarity(rule, event)
            why = PECULIARITIES[name] if name else None
        else:
            lost = any(field not in event and named.get(field) for field in references(rule["detection"]))
            why = LOST_REFERENCE if lost else None
        if why is None:
            return None
    return why


def read_lines(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def below_the_corpus(path):
    return path.split("evtx-attack-samples/")[1]


def main():
    originals = load_rules(sys.argv[1])
    converted = load_rules(sys.argv[2])
    by_original = collections.defaultdict(list)
    for rule in converted.values():
        by_original[origin(rule, originals)].append(rule)
    known = {rule for rule in originals if rule in by_original}
    compared = {rule for rule in known if all(same_content(originals[rule], one) for one in by_original[rule])}

    events = {}
    for flat in read_lines(sys.argv[3]):
        event = {name.replace(" ", ""): value for name, value in flat.items()}
        events[flat["compare_file"], flat["compare_record"]] = event

    theirs, left_out = collections.defaultdict(list), collections.Counter()
    for found in read_lines(sys.argv[4]):
        rule = converted[found["RuleID"]]
        original = origin(rule, originals)
        if original not in compared:
            left_out["Hayabusa's", "rule of another version" if original in known else "rule not in the corpus"] += 1
        else:
            theirs[below_the_corpus(found["EvtxFile"]), found["RecordID"], original].append(rule)
    ours = set()
    for found in read_lines(sys.argv[5]):
        file = below_the_corpus(found["source"])
        if found["id"] not in compared:
            left_out["ours", "rule of another version" if found["id"] in known else "Hayabusa lacks the rule"] += 1
        else:
            ours.add((file, found["record"], found["id"]))

    explained, unexplained = collections.defaultdict(collections.Counter), []
    for key in theirs.keys() ^ ours:
        file, record, rule = key
        who = "Cresset" if key in ours else "Hayabusa"
        try:
            if key in ours:
                why = why_only_cresset(originals[rule], by_original[rule], events[file, record])
            else:
                why = why_only_hayabusa(theirs[key], events[file, record])
        except Unread:
            why = None
        if why:
            explained[who, why][originals[rule]["title"]] += 1
        else:
            unexplained.append(f"  NOT EXPLAINED, only {who}: {file} record {record}: {originals[rule]['title']}")

    conversions = sum(len(by_original[rule]) for rule in compared)
    print(f"rules compared: {len(compared)}, and {conversions} conversions of them")
    print(f"Hayabusa {len(theirs)}, Cresset {len(ours)}, both {len(theirs.keys() & ours)}")
    print(f"only Hayabusa {len(theirs.keys() - ours)}, only Cresset {len(ours - theirs.keys())}")
    for (who, why), rules in sorted(explained.items()):
        print(f"  only {who}, {why}: {rules.total()}")
        for title, count in sorted(rules.items()):
            print(f"    {count} {title}")
    for (whose, why), count in sorted(left_out.items()):
        print(f"  left out, {whose}, {why}: {count}")
    print("\n".join(sorted(unexplained)), end="\n" if unexplained else "")
    return 1 if unexplained else 0


sys.exit(main())
