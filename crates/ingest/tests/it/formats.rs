//! What each format's records become.

use crate::{check_reads, gzip, values};

const SYSMON: &str = r#"{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"ws1","Image":"C:\\a.exe","Hashes":"MD5=00,IMPHASH=11","UtcTime":"2026-11-24 07:00:00.125"}"#;

#[test]
fn flat_windows_events() {
    check_reads(
        SYSMON,
        &[
            "windows/sysmon/process_creation 2026-11-24T07:00:00.125Z | EventID=1 Channel=Microsoft-Windows-Sysmon/Operational \
           Computer=ws1 Image=C:\\a.exe Hashes=MD5=00,IMPHASH=11 UtcTime=2026-11-24 07:00:00.125",
        ],
    );
    assert_eq!(values(SYSMON, "Imphash"), ["11"]);
    assert_eq!(values(SYSMON, "md5"), ["00"]);
}

#[test]
fn nested_windows_events_have_the_same_names() {
    let nested = r##"{"Event":{"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Security-Auditing"}},
        "EventID":{"#attributes":{"Qualifiers":0},"#text":4688},"TimeCreated":{"#attributes":{"SystemTime":"2026-11-24T07:00:00Z"}},
        "Channel":"Security","Computer":"ws1"},"EventData":{"NewProcessName":"C:\\b.exe","MandatoryLabel":"S-1-16-12288",
        "SubjectUserName":"alice"}}}"##;
    for (field, expected) in [
        ("EventID", "4688"),
        ("Image", "C:\\b.exe"),
        ("NewProcessName", "C:\\b.exe"),
        ("User", "alice"),
        ("IntegrityLevel", "High"),
        ("Provider_Name", "Microsoft-Windows-Security-Auditing"),
    ] {
        assert_eq!(values(nested, field), [expected], "{field}");
    }
}

#[test]
fn a_list_of_named_data_becomes_fields() {
    let event = |data: &str| {
        let system = r#""System":{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational"}"#;
        format!(r#"{{"Event":{{{system},"EventData":{{"Data":{data}}}}}}}"#)
    };
    for data in [
        r##"[{"@Name":"Image","#text":"a.exe"},{"@Name":"RuleName"},{"@Name":"User","#text":"bob"}]"##,
        r##"[{"Name":"Image","#text":"a.exe"},{"Name":"User","#text":"bob"}]"##,
        r##"[{"#attributes":{"Name":"Image"},"#text":"a.exe"},{"#attributes":{"Name":"User"},"#text":"bob"}]"##,
        r##"[{"#text":"a.exe","@Name":"Image"},{"@Name":"RuleName"},{"#text":"bob","@Name":"User"}]"##,
    ] {
        assert_eq!(values(event(data), "Image"), ["a.exe"], "{data}");
        assert_eq!(values(event(data), "User"), ["bob"], "{data}");
        assert!(values(event(data), "RuleName").is_empty(), "{data}");
    }
    let single = event(r##"{"@Name":"Image","#text":"a.exe"}"##);
    assert_eq!(values(single, "Image"), ["a.exe"]);
    let unclear = event(r##"[{"@Name":"Image"},{"#text":"a.exe","@Name":"User"}]"##);
    assert!(values(unclear.as_str(), "Image").is_empty());
    assert_eq!(values(unclear, "Data"), ["a.exe"]);
}

#[test]
fn values_that_rules_ask_for_otherwise_are_derived() {
    let event = |id: u32, data: &str| {
        format!(r#"{{"Event":{{"System":{{"EventID":{id},"Channel":"Security"}},"EventData":{{{data}}}}}}}"#)
    };
    let filtered = event(5156, r#""Application":"\\device\\harddiskvolume2\\a\\plink.exe","Direction":"%%14593""#);
    assert_eq!(values(filtered.as_str(), "Image"), [r"\device\harddiskvolume2\a\plink.exe", r"C:\a\plink.exe"]);
    assert_eq!(values(filtered.as_str(), "Initiated"), ["true"]);
    let elsewhere = event(4663, r#""Direction":"%%14593""#);
    assert!(values(elsewhere.as_str(), "Initiated").is_empty());
    let padded = event(4624, r#""LogonProcessName":"NtLmSsp ""#);
    assert_eq!(values(padded.as_str(), "LogonProcessName"), ["NtLmSsp ", "NtLmSsp"]);
}

#[test]
fn spaces_in_names_do_not_count() {
    let defender = r#"{"Event":{"System":{"EventID":1116,"Channel":"Microsoft-Windows-Windows Defender/Operational"},
        "EventData":{"Threat Name":"HackTool:Win32/Mimikatz","Path":"file:_C:\\m.exe"}}}"#;
    assert_eq!(values(defender, "ThreatName"), ["HackTool:Win32/Mimikatz"]);
    assert_eq!(values(defender, "Signature"), ["HackTool:Win32/Mimikatz"]);
}

#[test]
fn winlogbeat_events_have_the_same_names() {
    let winlogbeat = r#"{"@timestamp":"2026-11-24T07:00:00.000Z","host":{"name":"ws1"},"winlog":{"channel":"Security","event_id":"4688",
        "computer_name":"ws1.example","provider_name":"Microsoft-Windows-Security-Auditing","event_data":{"NewProcessName":"C:\\b.exe"}}}"#;
    assert_eq!(values(winlogbeat, "Image"), ["C:\\b.exe"]);
    assert_eq!(values(winlogbeat, "Computer"), ["ws1.example"]);
    assert_eq!(values(winlogbeat, "EventID"), ["4688"]);
}

#[test]
fn winlogbeat_6_and_winlogbeat_with_the_common_schema_alone() {
    let old = r#"{"@timestamp":"2026-11-24T07:00:00.000Z","log_name":"Security","event_id":4688,"computer_name":"ws1",
        "source_name":"Microsoft-Windows-Security-Auditing","record_number":"7","event_data":{"NewProcessName":"C:\\b.exe"}}"#;
    let expected = [("Image", "C:\\b.exe"), ("Computer", "ws1"), ("EventID", "4688"), ("Channel", "Security")];
    for (field, expected) in expected {
        assert_eq!(values(old, field), [expected], "{field}");
    }
    let common = r#"{"winlog":{"channel":"Microsoft-Windows-Sysmon/Operational","event_id":1},"user":{"name":"bob"},
        "process":{"executable":"C:\\a.exe","command_line":"a","pid":4,"parent":{"executable":"C:\\p.exe","command_line":"p"}},
        "destination":{"ip":"192.0.2.1","port":53},"dns":{"question":{"name":"a.example"}},"registry":{"path":"HKLM\\x"}}"#;
    for (field, expected) in [
        ("Image", "C:\\a.exe"),
        ("CommandLine", "a"),
        ("ProcessId", "4"),
        ("ParentImage", "C:\\p.exe"),
        ("ParentCommandLine", "p"),
        ("User", "bob"),
        ("DestinationIp", "192.0.2.1"),
        ("DestinationPort", "53"),
        ("QueryName", "a.example"),
        ("TargetObject", "HKLM\\x"),
    ] {
        assert_eq!(values(common, field), [expected], "{field}");
    }
    let both = r#"{"winlog":{"channel":"Security","event_id":4688,"event_data":{"NewProcessName":"own"}},"process":{"executable":"other"}}"#;
    assert_eq!(values(both, "Image"), ["own"]);
}

#[test]
fn nested_windows_events_without_the_outer_event() {
    let nested = r##"{"System":{"Provider":{"@Name":"Microsoft-Windows-Sysmon"},"EventID":{"#text":"1"},"TimeCreated":{"@SystemTime":"2026-11-24T07:00:00Z"},
        "Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"ws1"},"EventData":{"Data":[{"@Name":"Image","#text":"a.exe"}]}}"##;
    let start = "windows/sysmon/process_creation 2026-11-24T07:00:00Z | Provider_Name=Microsoft-Windows-Sysmon EventID=1 \
        TimeCreated=2026-11-24T07:00:00Z Channel=Microsoft-Windows-Sysmon/Operational Computer=ws1 Image=a.exe";
    check_reads(nested, &[start]);
    check_reads(format!("{{\"Events\":{{\"Event\":[{nested},{nested}]}}}}"), &[start, start]);
    let flat =
        r#"{"System":{"EventID":1102,"Channel":"Security"},"UserData":{"LogFileCleared":{"SubjectUserName":"bob"}}}"#;
    assert_eq!(values(flat, "SubjectUserName"), ["bob"]);
}

#[test]
fn user_data_and_several_data_of_no_name() {
    let cleared = r#"{"Event":{"System":{"EventID":1102,"Channel":"Security"},"UserData":{"LogFileCleared":{"SubjectUserName":"bob"}}}}"#;
    assert_eq!(values(cleared, "SubjectUserName"), ["bob"]);
    let classic = r##"{"Event":{"System":{"EventID":400,"Channel":"Windows PowerShell"},"EventData":{"Data":{"#text":["a","b"]}}}}"##;
    assert_eq!(values(classic, "Data"), ["a", "b"]);
}

#[test]
fn suricata_dns() {
    let dns = r#"{"timestamp":"2026-11-24T07:00:00.000001+0000","event_type":"dns","src_ip":"192.0.2.7","dest_ip":"192.0.2.53","dns":{"rrname":"a.example","rrtype":"A","answers":[{"rdata":"192.0.2.1"},{"rdata":"192.0.2.2"}]}}"#;
    assert_eq!(values(dns, "query"), ["a.example"]);
    assert_eq!(values(dns, "answer"), ["192.0.2.1", "192.0.2.2"]);
    assert_eq!(values(dns, "dns.answers.rdata"), ["192.0.2.1", "192.0.2.2"]);
    check_reads(
        r#"{"timestamp":"2026-11-24T07:00:00.000001+0000","event_type":"stats"}"#,
        &["suricata/-/ 2026-11-24T07:00:00.000001Z | timestamp=2026-11-24T07:00:00.000001+0000 event_type=stats"],
    );
}

#[test]
fn zeek_json_in_both_spellings() {
    for spelling in ["id.resp_h", "id_resp_h"] {
        let dns = format!(
            r#"{{"@stream":"dns","ts":1588205199.5,"uid":"C1","{spelling}":"192.0.2.53","query":"a.example","qtype_name":"A"}}"#
        );
        assert_eq!(values(dns.as_str(), "id.resp_h"), ["192.0.2.53"], "{spelling}");
        assert_eq!(values(dns.as_str(), "record_type"), ["A"]);
    }
}

#[test]
fn zeek_tsv_by_its_header() {
    let log = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tdns\n\
        #fields\tts\tuid\tid.orig_p\tquery\tanswers\trejected\tdata\n#types\ttime\tstring\tport\tstring\tvector[string]\tbool\tstring\n\
        1588205199.500000\tC1\t53\ta.example\tb,c\tF\tx\\x09y\n1588205199.6\tC2\t53\t-\t(empty)\tT\t-\n#close\t2020\nshort\trow\n";
    check_reads(
        log,
        &[
            "zeek/dns/dns 2020-04-30T00:06:39.5Z | ts=1588205199.500000 uid=C1 id.orig_p=53 query=a.example answers=b \
             answers=c rejected=false data=x\ty",
            "zeek/dns/dns 2020-04-30T00:06:39.6Z | ts=1588205199.6 uid=C2 id.orig_p=53 answers= rejected=true",
            "skipped 11: 2 columns where the header names 7",
        ],
    );
}

#[test]
fn zeek_tsv_whatever_is_before_its_header() {
    let rows = "#path\tdns\n#fields\tts\tuid\tquery\n#types\ttime\tstring\tstring\n1588205199.5\tC1\ta.example\n";
    let expected = ["zeek/dns/dns 2020-04-30T00:06:39.5Z | ts=1588205199.5 uid=C1 query=a.example"];
    for before in [
        "",
        "\n\n",
        "\u{feff}",
        "\u{feff}\r\n\n",
        "\u{feff}#separator \\x09\n",
        "\n#separator \\x09\n",
        "#open\t2020\n\n",
    ] {
        check_reads(format!("{before}{rows}"), &expected);
    }
}

#[test]
fn syslog_in_its_three_forms() {
    check_reads(
        "<86>1 2026-11-24T07:00:00.5+01:00 bastion sshd 812 ID47 [a@1 k=\"v \\\"q\\]\"] Accepted publickey for alice from 192.0.2.7 port 40022 ssh2\n\
         2026-11-24T06:00:00+00:00 bastion sudo:    alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/id -a\n",
        &[
            "linux/sshd/ 2026-11-24T06:00:00.5Z | time=2026-11-24T07:00:00.5+01:00 host=bastion program=sshd msgid=ID47 \
             message=Accepted publickey for alice from 192.0.2.7 port 40022 ssh2 pid=812 facility=10 severity=6 \
             a@1.k=v \"q] action=accepted_publickey method=publickey user=alice src_ip=192.0.2.7 src_port=40022",
            "linux/sudo/ 2026-11-24T06:00:00Z | time=2026-11-24T06:00:00+00:00 host=bastion program=sudo \
             message=   alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/id -a user=alice TTY=pts/0 \
             PWD=/home/alice USER=root COMMAND=/usr/bin/id -a action=sudo_command",
        ],
    );
    let old = "Nov 24 07:00:00 bastion CRON[9]: (root) CMD (/usr/bin/true)";
    assert_eq!(values(old, "COMMAND"), ["/usr/bin/true"]);
    assert_eq!(values(old, "action"), ["cron_command"]);
}

#[test]
fn syslog_with_a_length_a_space_in_its_time_or_no_host() {
    let counted = "61 <86>1 2026-11-24T07:00:00Z bastion sshd 812 - - Invalid user bob";
    assert_eq!(values(counted, "host"), ["bastion"]);
    assert_eq!(values(counted, "facility"), ["10"]);
    check_reads(
        "2026-11-24 07:00:00 bastion prog[7]: m\n2026-11-24 07:00:01.5+01:00 bastion prog: m\n2026-11-24 07:00:01 status installed\n",
        &[
            "linux/syslog/ 2026-11-24T07:00:00Z | time=2026-11-24 07:00:00 host=bastion program=prog message=m pid=7",
            "linux/syslog/ 2026-11-24T06:00:01.5Z | time=2026-11-24 07:00:01.5+01:00 host=bastion program=prog message=m",
            "skipped 3: not a syslog line (RFC 5424, RFC 3164, or with an ISO time)",
        ],
    );
    let no_host = "Nov 24 07:00:00 sshd[1]: Failed password for root from 192.0.2.7 port 40022 ssh2";
    assert_eq!(values(no_host, "program"), ["sshd"]);
    assert_eq!(values(no_host, "src_ip"), ["192.0.2.7"]);
    assert!(values(no_host, "host").is_empty());
    assert_eq!(values("Nov 24 07:00:00 2001:db8:: sshd[1]: m", "host"), ["2001:db8::"]);
}

#[test]
fn a_repeated_message_is_understood() {
    let line = "Nov 24 07:00:00 h sshd[1]: message repeated 5 times: [ Failed password for root from 192.0.2.7 port 40022 ssh2]";
    assert_eq!(values(line, "action"), ["failed_password"]);
    assert_eq!(values(line, "src_ip"), ["192.0.2.7"]);
    assert_eq!(values(line, "src_port"), ["40022"]);
    assert_eq!(values(line, "repeated"), ["5"]);
}

#[test]
fn a_user_name_cannot_claim_another_address() {
    let line = "Nov 24 07:00:00 h sshd[1]: Failed password for invalid user x from 203.0.113.9 port 1 ssh2 from 192.0.2.7 port 40022 ssh2";
    assert_eq!(values(line, "src_ip"), ["192.0.2.7"]);
    assert_eq!(values(line, "user"), ["x from 203.0.113.9 port 1 ssh2"]);
    let closed = "Nov 24 07:00:00 h sshd[1]: Connection closed by invalid user bob 192.0.2.7 port 22 [preauth]";
    assert_eq!(values(closed, "src_ip"), ["192.0.2.7"]);
    assert_eq!(values(closed, "user"), ["bob"]);
    let bare = "Nov 24 07:00:00 h sshd[1]: Connection closed by 192.0.2.7 port 22 [preauth]";
    assert_eq!(values(bare, "src_ip"), ["192.0.2.7"]);
}

#[test]
fn name_servers_queries() {
    let named = "Nov 24 07:00:00 ns named[1]: client @0x7f 192.0.2.7#5321 (a.example): query: a.example IN TXT +E(0)K (192.0.2.53)";
    assert_eq!(values(named, "query"), ["a.example"]);
    assert_eq!(values(named, "record_type"), ["TXT"]);
    assert_eq!(values(named, "src_ip"), ["192.0.2.7"]);
    let dnsmasq = "Nov 24 07:00:00 ns dnsmasq[1]: query[AAAA] b.example from 192.0.2.8";
    assert_eq!(values(dnsmasq, "record_type"), ["AAAA"]);
}

#[test]
fn access_logs_common_combined_and_with_a_host() {
    let combined =
        r#"192.0.2.7 - al ice [24/Nov/2026:08:00:00 +0100] "GET /a?b=\"c\" HTTP/1.1" 404 12 "http://r/" "ua \x41""#;
    check_reads(
        combined,
        &["-/-/webserver 2026-11-24T07:00:00Z | c-ip=192.0.2.7 cs-username=al ice time=24/Nov/2026:08:00:00 +0100 \
           cs-referer=http://r/ cs-user-agent=ua A sc-status=404 sc-bytes=12 request=GET /a?b=\"c\" HTTP/1.1 cs-method=GET \
           cs-uri=/a?b=\"c\" cs-uri-stem=/a cs-uri-query=b=\"c\" cs-version=HTTP/1.1"],
    );
    assert_eq!(values(combined, "cs-uri-query"), ["b=\"c\"", "/a?b=\"c\""]);
    let common = r#"192.0.2.7 - - [24/Nov/2026:07:00:00 +0000] "\x16\x03\x01" 400 -"#;
    assert_eq!(values(common, "sc-status"), ["400"]);
    let with_host = r#"www.example:443 192.0.2.7 - - [24/Nov/2026:07:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "-""#;
    assert_eq!(values(with_host, "cs-host"), ["www.example:443"]);
    assert_eq!(values(with_host, "c-ip"), ["192.0.2.7"]);
}

#[test]
fn a_user_name_cannot_hide_the_request_behind_brackets() {
    let long = "a".repeat(50);
    for user in [
        "x [",
        "us [er",
        &format!("x [{long}"),
        "x [24/Nov/2020:01:00:00 +0000]",
        r#"x [24/Nov/2020:01:00:00 +0000] \"GET / "#,
    ] {
        let line = format!(r#"192.0.2.8 - {user} [24/Nov/2026:07:00:00 +0000] "GET /evil HTTP/1.1" 200 12 "-" "ua""#);
        assert_eq!(values(line.as_str(), "c-ip"), ["192.0.2.8"], "{user}");
        assert_eq!(values(line.as_str(), "time"), ["24/Nov/2026:07:00:00 +0000"], "{user}");
        assert_eq!(values(line.as_str(), "cs-uri"), ["/evil"], "{user}");
        assert_eq!(values(line.as_str(), "cs-username").len(), 1, "{user}");
    }
}

#[test]
fn json_in_general_over_lines_arrays_and_several_lines() {
    let expected = ["-/-/ 2026-11-24T07:00:00Z | time=1763967600000 a.b=1 a.c=x a.c=y e=", "-/-/ unknown | f=true g="];
    let expected = expected.map(|line| line.replace("2026", "2025"));
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let one = r#"{"time":1763967600000,"a":{"b":1,"c":["x","y"]},"e":[]}"#;
    let two = r#"{"f":true,"g":null}"#;
    check_reads(format!("{one}\n\n{two}\r\n"), &expected);
    check_reads(format!("[{one},\n {two}]"), &expected);
    let pretty = one.replace(',', ",\n  ").replace('{', "{\n");
    check_reads(format!("{pretty}\n{two}"), &expected);
}

#[test]
fn a_list_in_a_wrapper_is_not_one_event() {
    let one = r#"{"eventSource":"s3","eventName":"Get]}","awsRegion":"x","list":[{"a":1}]}"#;
    let two = r#"{"eventSource":"iam","eventName":"Put","awsRegion":"y"}"#;
    let expected = [
        "aws/cloudtrail/ unknown | eventSource=s3 eventName=Get]} awsRegion=x list.a=1",
        "aws/cloudtrail/ unknown | eventSource=iam eventName=Put awsRegion=y",
    ];
    for name in ["Records", "records", "Events", "events", "value", "Event"] {
        check_reads(format!(r#"{{"{name}":[{one},{two}]}}"#), &expected);
        check_reads(format!("{{\n \"{name}\" : [\n  {one} ,\n  {two}\n ]\n}}\n"), &expected);
    }
    check_reads(gzip(format!(r#"{{"Records":[{one},{two}]}}"#).as_bytes()), &expected);
    check_reads(format!(r#"{{"Events":{{"Event":[{one},{two}]}}}}"#), &expected);
    check_reads(format!(r#"{{"Events":{{"Event":{one}}}}}"#), &expected[..1]);
    let beside = format!(r#"{{"@odata.context":"a\"{{[","count":2,"value":[{one},{two}],"nextLink":"}}{{"}}"#);
    check_reads(beside, &expected);
    check_reads(format!("{{\"Records\":[{one}]}}\n{{\"Records\":[{two}]}}"), &expected);
    let third = "-/-/ unknown | n=1";
    check_reads(format!("{{\"n\":1}}\n{{\"Records\":[{one},{two}]}}\n"), &[third, expected[0], expected[1]]);
}

#[test]
fn a_record_with_a_list_of_objects_stays_one() {
    let workspace = r#"{"actor":{"email":"a@b"},"events":[{"name":"x"},{"name":"y"}],"ipAddress":"192.0.2.7"}"#;
    assert_eq!(values(workspace, "events.name"), ["x", "y"]);
    let behind = r#"{"events":[{"name":"x"},{"name":"y"}],"ipAddress":"192.0.2.7"}"#;
    assert_eq!(values(behind, "events.name"), ["x", "y"]);
    check_reads(r#"{"value":["a","b"]}"#, &["-/-/ unknown | value=a value=b"]);
}

#[test]
fn utf_16_alike() {
    let log = format!("{SYSMON}\r\n{{\"a\":\"\u{e9}\u{1f600}{}\"}}\r\n", "\u{1f600}x\u{1f600}".repeat(9_000));
    let expected = crate::read(log.as_str());
    assert_eq!(expected.len(), 2);
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let bytes: Vec<u8> = "\u{feff}".encode_utf16().chain(log.encode_utf16()).flat_map(order).collect();
        assert_eq!(crate::read(bytes.as_slice()), expected);
        assert_eq!(crate::read(gzip(&bytes)), expected);
        assert_eq!(crate::read(&bytes[..bytes.len() - 7]).len(), 2);
    }
}

#[test]
fn compressed_alike() {
    let expected = crate::read(SYSMON);
    assert_eq!(crate::read(gzip(SYSMON.as_bytes())), expected);
    assert_eq!(crate::read(gzip(&gzip(SYSMON.as_bytes()))), expected);
    assert_eq!(crate::read(zstd::encode_all(SYSMON.as_bytes(), 3).expect("memory")), expected);
    let two_members = [gzip(SYSMON.as_bytes()), gzip(b"\n"), gzip(SYSMON.as_bytes())].concat();
    assert_eq!(crate::read(two_members).len(), 2);
}
