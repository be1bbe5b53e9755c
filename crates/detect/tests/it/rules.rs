//! Detection rules and filters, through our own types.

use std::sync::Arc;

use cresset_detect::DetectionId;
use cresset_event::Matcher;

use crate::{check_detects, compile, detect, refused};

fn rule(detection: &str) -> String {
    format!("title: R\nid: r\nlogsource: {{product: linux}}\ndetection:\n{detection}\n")
}

#[test]
fn the_log_source_is_respected() {
    let here = rule("  s: {a: 1}\n  condition: s");
    check_detects(&here, &[(1, "a=1")], &["R"]);
    check_detects(&here.replace("linux", "windows"), &[(1, "a=1")], &[]);
    check_detects(&here.replace("product: linux", "product: linux, category: process_creation"), &[(1, "a=1")], &[]);
}

#[test]
fn modifiers() {
    let check = |item: &str, value: &str, fits: bool| {
        let rules = rule(&format!("  s:\n    {item}\n  condition: s"));
        check_detects(&rules, &[(1, &format!("a={value}"))], if fits { &["R"] } else { &[] });
    };
    check("a: WHO*mi", "whoami", true);
    check(r"a: 'who\*mi'", "whoami", false);
    check("a|cased: Who", "who", false);
    check("a|startswith: ab", "ABc", true);
    check("a|endswith: bc", "ABc", true);
    check("a|contains|all: [x, y]", "yx", true);
    check("a|contains|all: [x, y]", "yy", false);
    check("a|re: '^a.c$'", "abc", true);
    check("a|re|i: '^A.C$'", "abc", true);
    check("a|re: '^A.C$'", "abc", false);
    check("a|re|s: 'a.c'", "a\nc", true);
    check("a|re: 'a.c'", "a\nc", false);
    check("a|re|m: '^b$'", "a\nb", true);
    check("a|re: '^b$'", "a\nb", false);
    check("a|cidr: 192.0.2.0/24", "192.0.2.77", true);
    check("a|cidr: 192.0.2.0/24", "192.0.3.1", false);
    check("a|cidr: 192.0.2.0/25", "192.0.2.127", true);
    check("a|cidr: 192.0.2.0/25", "192.0.2.128", false);
    check("a|gte: 5", "5", true);
    check("a|gt: 5", "5", false);
    check("a|lt: 5", "5", false);
    check("a|lte: 5", "5", true);
    check("a|neq: 5", "6", true);
    check("a|neq: 5", "5", false);
    check("a|hour: 7", "2026-11-24T07:05:00Z", true);
    check("a|minute: 7", "2026-11-24T07:05:00Z", false);
    check("a|day: 24", "2026-11-24T07:05:00Z", true);
    check("a|month: 11", "2026-11-24T07:05:00Z", true);
    check("a|year: 2025", "2026-11-24T07:05:00Z", false);
    check("a|exists: true", "x", true);
    check("b|exists: false", "x", true);
    check("b: null", "x", true);
    check("a|base64offset|contains: whoami", "xxd2hvYW1pxx", true);
    check("a|base64|contains: whoami", "xxd2hvYW1pxx", true);
    // "…whoami" behind one byte and behind two.
    check("a|base64offset|contains: whoami", "LXdob2FtaQ==", true);
    check("a|base64offset|contains: whoami", "LS13aG9hbWk=", true);
    check("a|utf16le|base64offset|contains: who", "x dwBoAG8A x", true);
    check("a|wide|base64offset|contains: who", "x dwBoAG8A x", true);
    check("a|utf16be|base64offset|contains: who", "x AHcAaABv x", true);
    check("a|cased|startswith: Who", "Whoami", true);
    check("a|windash|contains: ' -x '", "cmd /x y", true);
    for dash in ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'] {
        check("a|windash|contains: ' -x '", &format!("cmd {dash}x y"), true);
    }
    check("a|fieldref: a", "x", true);
    check("a|expand: '%a%'", "x", true);
    check("a|expand: '<%b%>'", "<x>;b=x", true);
    check("a|contains|expand: '%nowhere%'", "x", false);
    check("a: ''", "", true);
    for bytes in 62..67 {
        check(&format!("a: {}", "x".repeat(bytes)), &"X".repeat(bytes), true);
    }
}

#[test]
fn what_many_rules_ask_for_is_found_within_and_at_the_end() {
    let one = rule("  s: {a|endswith: ab}\n  condition: s");
    let rules = format!("{}---\n{}", format!("{one}---\n").repeat(9), rule("  s: {a|contains: ab}\n  condition: s"));
    check_detects(&rules, &[(1, "a=ababx")], &["R"]);
    check_detects(&rules, &[(1, "a=xabxab")], &["R"; 10]);
}

#[test]
fn conditions() {
    let selections = "  s1: {a: 1}\n  s2: {b: 2}\n  f: {c: 3}\n  condition: ";
    let check = |condition: &str, event: &str, fits: bool| {
        check_detects(&rule(&format!("{selections}{condition}")), &[(1, event)], if fits { &["R"] } else { &[] });
    };
    check("1 of s* and not f", "a=1", true);
    check("1 of s* and not f", "a=1;c=3", false);
    check("all of s*", "a=1", false);
    check("all of s*", "a=1;b=2", true);
    check("(s1 or s2) and f", "b=2;c=3", true);
}

#[test]
fn keywords_look_at_every_value() {
    let rules = rule("  keywords: ['*segfault*']\n  condition: keywords");
    check_detects(&rules, &[(1, "message=app segfault at 0")], &["R"]);
    check_detects(&rules, &[(1, "message=fine")], &[]);
}

#[test]
fn a_filter_narrows_the_rules_it_names() {
    let filtered = rule("  s: {a: 1}\n  condition: s")
        + "---\ntitle: F\nlogsource: {product: linux}\nfilter:\n  rules: [r]\n  selection: {user: admin}\n  condition: not selection\n";
    check_detects(&filtered, &[(1, "a=1;user=admin"), (2, "a=1;user=eve")], &["R"]);
}

#[test]
fn a_filter_that_names_nothing_is_refused() {
    let found = refused(
        "title: F\nlogsource: {product: linux}\nfilter:\n  rules: [nowhere]\n  selection: {user: admin}\n  condition: not selection\n",
    );
    assert!(found.len() == 1 && found[0].contains("names no rule"), "{found:?}");
}

#[test]
fn a_catastrophic_regex_costs_no_time() {
    let rules = rule("  s:\n    a|re: '^(a+)+$'\n  condition: s");
    let value = format!("a={}!", "a".repeat(100_000));
    check_detects(&rules, &[(1, &value)], &[]);
}

#[test]
fn a_regex_that_grows_too_large_is_refused_and_the_others_load() {
    let found = refused(
        &(rule("  s:\n    a|re: '(((a{1000}){1000}){1000}){1000}'\n  condition: s")
            + "---\n"
            + &rule("  s: {a: 1}\n  condition: s")),
    );
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_rule_of_too_many_or_too_large_regular_expressions_is_refused() {
    let rule =
        |regexes: &str| format!("title: X\nlogsource: {{}}\ndetection:\n  s: {{e|re: [{regexes}]}}\n  condition: s\n");
    let of = |count: usize| (0..count).map(|number| format!("a{number}")).collect::<Vec<_>>().join(", ");
    assert!(refused(&rule(&of(64))).is_empty());
    assert!(refused(&rule(&of(65)))[0].contains("65 regular expressions; a rule has at most 64"));
    assert!(refused(&rule(r"'\w{1,64}'")).is_empty());
    assert!(refused(&rule(r"'\w{1,200}'"))[0].contains("exceeds size limit of 8388608 bytes"));
}

/// Checks what is known to be had by any event that a rule fits: of each list one value.
#[track_caller]
fn check_needs(detection: &str, expected: Option<&[&[&str]]>) {
    let needs =
        compile(&rule(detection), &Arc::default()).needs().map(|needs| needs.into_iter().flatten().collect::<Vec<_>>());
    let shown = |list: &Vec<Matcher>| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let shown = needs.map(|needs| needs.iter().map(shown).collect::<Vec<_>>());
    let expected =
        expected.map(|lists| lists.iter().map(|list| list.iter().map(ToString::to_string).collect()).collect());
    assert_eq!(shown, expected, "{detection}");
}

#[test]
fn values_that_an_event_must_have_are_known_where_their_fields_say_what_they_hold() {
    check_needs("  s: {DestinationIp: [192.0.2.1, 192.0.2.2]}\n  condition: s", Some(&[&["192.0.2.1", "192.0.2.2"]]));
    check_needs("  s: {Image|endswith: '\\A.exe', User: bob}\n  condition: s", Some(&[&["a.exe"], &["bob"]]));
    // One of several selections, each by its shortest list.
    let either =
        "  a: {Image|endswith: ['\\a.exe', '\\b.exe'], User: bob}\n  b: {QueryName: evil.example}\n  condition: a or b";
    check_needs(either, Some(&[&["bob", "evil.example"]]));
    check_needs("  a: {User: bob}\n  b: {User: eve}\n  condition: a and not b", Some(&[&["bob"]]));
    for nothing_is_known in [
        "  s: {CommandLine|contains: whoami}\n  condition: s",
        "  s: {Image|endswith: a.exe}\n  condition: s",
        "  s: {Image|contains: '\\a.exe'}\n  condition: s",
        "  s: {DestinationIp|startswith: 192.0.2.1}\n  condition: s",
        "  s: {anything: 192.0.2.1}\n  condition: s",
        "  s: {User: 12}\n  condition: s",
        "  s: [bob]\n  condition: s",
        "  a: {User: bob}\n  b: {anything: x}\n  condition: a or b",
        "  a: {User: bob}\n  condition: not a",
    ] {
        check_needs(nothing_is_known, None);
    }
}

#[test]
fn a_detection_carries_what_its_event_may_have_in_common_with_others() {
    let fields = "CommandLine=whoami http://Evil.example:80/;DestinationIp=::ffff:203.0.113.9;QueryName=EVIL.example.;\
                  Image=C:\\a\\whoami.exe;User=CORP\\alice;md5=D41D8CD98F00B204E9800998ECF8427E;src_ip=203.0.113.9";
    let rule = "title: X\nlogsource: {}\ndetection: {s: {CommandLine|contains: whoami}, condition: s}\n";
    let (found, _) = detect(rule, &[(1, fields)]);
    let seen: Vec<&str> = found[0].observables.iter().map(|seen| seen.value.as_str()).collect();
    assert_eq!(
        seen,
        ["http://evil.example", "evil.example", "203.0.113.9", "d41d8cd98f00b204e9800998ecf8427e"],
        "each once, in normal form; no file names, accounts and programs"
    );
}

#[test]
fn of_a_thousand_observables_the_first_are_kept() {
    let many: Vec<String> = (0..1000).map(|i| format!("203.0.{}.{}", i / 250, i % 250)).collect();
    let rule = "title: X\nlogsource: {}\ndetection: {s: {a: b}, condition: s}\n";
    let (found, _) = detect(rule, &[(1, &format!("a=b;src_ip={}", many.join(",")))]);
    assert_eq!(found[0].observables.len(), 32);
    assert_eq!(found[0].observables[31].value, "203.0.0.31");
}

#[test]
fn the_id_of_a_detection_is_read_as_it_is_shown_and_in_no_other_form() {
    let rule = "title: X\nlogsource: {}\ndetection: {s: {a: b}, condition: s}\n";
    let id = detect(rule, &[(1, "a=b")]).0[0].id();
    assert_eq!(DetectionId::parse(&id.to_string()), Some(id));
    assert_eq!(DetectionId::from_bytes(*id.as_bytes()), id);
    for text in ["", "0", &id.to_string().to_uppercase(), &format!("{id} "), &id.to_string().replace('-', "")] {
        assert_eq!(DetectionId::parse(text), None, "{text:?}");
    }
}
