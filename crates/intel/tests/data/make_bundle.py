#!/usr/bin/env python3
"""Makes bundle.json, next to this script, with the reference implementation of STIX 2.1 (`pip install stix2`).

Every id and time is fixed, so that a second run gives the same file. Values are of the ranges and domains that are set
aside for documentation (RFC 5737, RFC 3849, RFC 2606).
"""

import pathlib

import stix2

CREATED = "2024-01-01T00:00:00.000Z"


def uuid(number):
    return f"00000000-0000-4000-8000-{number:012x}"


def common(kind, number):
    return {"id": f"{kind}--{uuid(number)}", "created": CREATED, "modified": CREATED}


author = stix2.Identity(**common("identity", 1), name="Example CERT", identity_class="organization")
technique = stix2.AttackPattern(
    **common("attack-pattern", 2),
    name="Web Protocols",
    external_references=[
        {"source_name": "mitre-attack", "external_id": "T1071.001", "url": "https://attack.mitre.org/techniques/T1071/001"}
    ],
)
malware = stix2.Malware(**common("malware", 3), name="Example", is_family=False)


def indicator(number, name, pattern, **more):
    members = {"pattern_type": "stix", "valid_from": CREATED, "created_by_ref": author.id} | more
    return stix2.Indicator(**common("indicator", number), name=name, pattern=pattern, **members)


def equals(path, value):
    return stix2.EqualityComparisonExpression(stix2.ObjectPath.make_object_path(path), value)


def observed(expression):
    return str(stix2.ObservationExpression(expression))


MD5, SHA1, SHA256, SHA512 = "0a" * 16, "0b" * 20, "0C" * 32, "0d" * 64
KEY = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Example\\Run"

taken = [
    indicator(
        0x10,
        "C2 address",
        observed(equals("ipv4-addr:value", "198.51.100.7")),
        confidence=85,
        kill_chain_phases=[{"kill_chain_name": "mitre-attack", "phase_name": "command-and-control"}],
        external_references=[{"source_name": "report", "url": "https://reports.example/1"}],
        object_marking_refs=[stix2.TLP_AMBER],
    ),
    indicator(
        0x11,
        "Infrastructure",
        observed(
            stix2.OrBooleanExpression(
                [
                    equals("domain-name:value", "evil.example"),
                    equals("url:value", "https://evil.example/a?b='c'"),
                    equals("ipv6-addr:value", "2001:db8::7"),
                ]
            )
        ),
    ),
    indicator(
        0x12,
        "Dropper",
        observed(
            stix2.OrBooleanExpression(
                [
                    equals("file:hashes.MD5", MD5),
                    equals("file:hashes.'SHA-1'", SHA1),
                    equals("file:hashes.'SHA-256'", SHA256),
                    equals("file:hashes.'SHA-512'", SHA512),
                    equals("file:name", "evil.exe"),
                ]
            )
        ),
        labels=["attack.t1204.002"],
    ),
    indicator(
        0x13,
        "Ranges",
        observed(stix2.IsSubsetComparisonExpression("ipv4-addr:value", stix2.StringConstant("203.0.113.0/24"))),
    ),
    indicator(
        0x14,
        "Mail or account",
        str(
            stix2.OrObservationExpression(
                [
                    stix2.ObservationExpression(equals("email-message:from_ref.value", "mallory@evil.example")),
                    stix2.ObservationExpression(equals("user-account:account_login", "Mallory")),
                    stix2.ObservationExpression(equals("windows-registry-key:key", KEY)),
                ]
            )
        ),
    ),
    indicator(
        0x15,
        "Listed",
        observed(
            stix2.InComparisonExpression(
                "network-traffic:dst_ref.value",
                stix2.ListConstant([stix2.StringConstant("192.0.2.1"), stix2.StringConstant("192.0.2.2")]),
            )
        ),
    ),
    indicator(
        0x16,
        "Expired",
        observed(equals("domain-name:value", "old.example")),
        valid_until="2024-02-01T00:00:00Z",
    ),
    indicator(0x17, "Revoked", observed(equals("domain-name:value", "withdrawn.example")), revoked=True),
]

refused = [
    indicator(
        0x20,
        "AND",
        observed(
            stix2.AndBooleanExpression([equals("file:name", "evil.exe"), equals("file:hashes.MD5", MD5)])
        ),
    ),
    indicator(0x21, "LIKE", observed(stix2.LikeComparisonExpression("url:value", "https://evil.example/%"))),
    indicator(0x22, "MATCHES", observed(stix2.MatchesComparisonExpression("url:value", "^https://evil"))),
    indicator(
        0x23,
        "FOLLOWEDBY",
        str(
            stix2.FollowedByObservationExpression(
                [
                    stix2.ObservationExpression(equals("ipv4-addr:value", "192.0.2.1")),
                    stix2.ObservationExpression(equals("ipv4-addr:value", "192.0.2.2")),
                ]
            )
        ),
    ),
    indicator(
        0x24,
        "WITHIN",
        str(
            stix2.QualifiedObservationExpression(
                stix2.ObservationExpression(equals("ipv4-addr:value", "192.0.2.1")), stix2.WithinQualifier(300)
            )
        ),
    ),
    indicator(0x25, "Command line", observed(equals("process:command_line", "evil --now"))),
    indicator(0x26, "YARA", "rule evil { condition: true }", pattern_type="yara"),
]

relationship = stix2.Relationship(
    **common("relationship", 4), relationship_type="indicates", source_ref=taken[0].id, target_ref=technique.id
)
sighting_of = stix2.Relationship(
    **common("relationship", 5), relationship_type="indicates", source_ref=taken[0].id, target_ref=malware.id
)

bundle = stix2.Bundle(
    stix2.TLP_AMBER, *taken, *refused, relationship, sighting_of, author, technique, malware, id=f"bundle--{uuid(0)}"
)
target = pathlib.Path(__file__).with_name("bundle.json")
target.write_text(bundle.serialize(pretty=True, ensure_ascii=False) + "\n", encoding="utf-8")
