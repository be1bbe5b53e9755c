//! What links two detections, and what does not: a test for each kind of key and each trap.

use cresset_picture::{Assets, LinkKind, Picture};

use crate::{check_apart, check_incidents, check_linked, found, holder, id, incident, partition, picture_of, shown};

#[test]
fn detections_on_one_machine_belong_together_for_half_an_hour() {
    check_incidents(&[(0, "host=WS01"), (30, "host=ws01.")], &[&[1, 2]]);
    check_incidents(&[(0, "host=WS01"), (31, "host=WS01")], &[&[1], &[2]]);
    check_incidents(&[(0, "host=WS01"), (60, "host=WS01"), (30, "host=WS01")], &[&[1, 2, 3]]);
    check_incidents(&[(0, "host=WS01"), (0, "host=WS02")], &[&[1], &[2]]);
    check_apart("host=ws01.a.example", "host=ws01.b.example");
}

#[test]
fn names_that_every_machine_has_link_nothing() {
    for host in ["localhost", "LOCALHOST.localdomain", "127.0.0.1", "::1", "0.0.0.0", "-", "", "unknown", "(null)"] {
        check_apart(&format!("host={host}"), &format!("host={host}"));
    }
    check_linked("host=10.1.2.3", "host=10.1.2.3");
}

#[test]
fn detections_of_one_account_belong_together_for_half_an_hour() {
    check_incidents(&[(0, "user=alice host=A"), (30, "user=alice host=B")], &[&[1, 2]]);
    check_incidents(&[(0, "user=alice host=A"), (31, "user=alice host=B")], &[&[1], &[2]]);
    check_linked(r"user=CORP\alice", r"user=corp\ALICE");
    check_apart("user=alice", "user=bob");
}

#[test]
fn an_account_is_the_same_with_and_without_its_domain() {
    check_linked(r"user=CORP\alice", "user=alice");
    check_linked(r"user=CORP\alice", "user=alice@corp.example");
    check_linked("user=Alice@corp.example", "user=alice");
    check_linked(r"user=.\alice", "user=alice");
}

#[test]
fn accounts_that_every_machine_has_link_nothing() {
    let accounts = [
        "SYSTEM",
        r"NT+AUTHORITY\SYSTEM",
        r"NT-AUTORITÄT\SYSTEM",
        r"AUTORITE+NT\Système",
        r"NT+AUTHORITY\LOCAL+SERVICE",
        "Network+Service",
        "LOCAL+SERVICE",
        "ANONYMOUS+LOGON",
        r"CORP\WS01$",
        "dc01$@corp.example",
        "root",
        "Root",
        "-",
        "",
        r"Window+Manager\DWM-1",
        "DWM-12",
        r"Font+Driver+Host\UMFD-0",
        "umfd-3",
        r"IIS+APPPOOL\DefaultAppPool",
        r"NT+SERVICE\MSSQLSERVER",
        "S-1-5-18",
        r"CORP\",
    ];
    for account in accounts {
        check_apart(&format!("host=A user={account}"), &format!("host=B user={account}"));
    }
    check_linked("user=dwm-admin", "user=dwm-admin");
    check_linked("user=rooted", "user=rooted");
}

#[test]
fn accounts_that_many_machines_have_link_only_with_their_domain() {
    check_apart("host=A user=Administrator", "host=B user=Administrator");
    check_linked(r"host=A user=CORP\Administrator", r"host=B user=corp\administrator");
    check_apart(r"host=A user=CORP\Administrator", r"host=B user=LAB\Administrator");
    check_apart(r"host=A user=A\Administrator", r"host=B user=B\Administrator");
}

#[test]
fn an_account_of_the_machine_itself_links_no_other_machine() {
    check_apart(r"host=WS01 user=WS01\service", r"host=WS02 user=WS02\service");
    check_apart(r"host=ws01.corp.example user=WS01\service", r"host=WS02 user=WS02\service");
}

#[test]
fn one_program_on_one_machine_belongs_together_for_four_hours() {
    let (a, b) = (r"host=A process=C:\a\x.exe", r"host=a process=c:\A\X.EXE");
    check_incidents(&[(0, a), (240, b)], &[&[1, 2]]);
    check_incidents(&[(0, a), (241, b)], &[&[1], &[2]]);
    check_apart(r"host=A process=C:\a\x.exe", r"host=B process=C:\a\x.exe");
    check_apart(r"process=C:\a\x.exe", r"process=C:\a\x.exe");
    check_apart(r"host=localhost process=C:\a\x.exe", r"host=localhost process=C:\a\x.exe");
}

#[test]
fn an_observable_belongs_together_for_a_day() {
    let day = 24 * 60;
    for seen in ["ip=203.0.113.9", "domain=evil.example", "url=http://evil.example/a", "email=a@evil.example"] {
        check_incidents(&[(0, seen), (day, seen)], &[&[1, 2]]);
        check_incidents(&[(0, seen), (day + 1, seen)], &[&[1], &[2]]);
    }
    check_linked("ip=2001:db8::9", "ip=2001:db8::9");
    let md5 = "hash=9e107d9d372bb6826bd81d3542a419d6";
    check_linked(md5, md5);
    check_apart("ip=203.0.113.9", "ip=203.0.113.10");
}

#[test]
fn addresses_that_are_another_machine_in_every_network_link_nothing() {
    let addresses = [
        "10.1.2.3",
        "172.16.9.9",
        "192.168.1.1",
        "100.64.1.1",
        "127.0.0.1",
        "169.254.3.4",
        "224.0.0.251",
        "239.1.2.3",
        "255.255.255.255",
        "0.0.0.0",
        "::",
        "::1",
        "fe80::1",
        "fd00::1",
        "ff02::fb",
    ];
    for address in addresses {
        check_apart(&format!("ip={address}"), &format!("ip={address}"));
    }
    check_apart("url=http://10.1.2.3/x", "url=http://10.1.2.3/x");
    check_apart("url=http://[fe80::1]:8080/x", "url=http://[fe80::1]:8080/x");
}

#[test]
fn what_the_warning_list_holds_links_nothing_and_what_is_below_it_does() {
    for seen in ["ip=8.8.8.8", "domain=microsoft.com", "domain=co.uk", "url=https://google.com/search?q"] {
        check_apart(seen, seen);
    }
    check_linked("domain=evil.duckdns.org", "domain=evil.duckdns.org");
    check_linked("url=http://user:pw@evil.example:8080/x", "url=http://user:pw@evil.example:8080/x");
}

#[test]
fn what_is_ours_links_nothing_and_says_what_was_touched() {
    let list = "name,addresses,value\nwww.corp.example,198.51.100.0/24,vital\ncorp.example,,\nmail,,\n";
    let assets = Assets::from_csv(list).expect("a list");
    let ours = [
        "ip=198.51.100.7",
        "domain=www.corp.example",
        "url=http://www.corp.example/login",
        "url=https://198.51.100.7:8443/",
        "email=alice@corp.example",
    ];
    for words in ours {
        let mut picture = Picture::new(assets.clone());
        let placed = [1, 2].map(|number| picture.add(&found(number, 0, words).with_assets(&assets)).incident);
        assert_ne!(placed[0], placed[1], "{words}");
    }
    let mut picture = Picture::new(assets.clone());
    picture.add(&found(1, 0, ours[0]).with_assets(&assets));
    assert_eq!(incident(&picture, holder(&picture, 1)).priority.score, 30 + 25);
    for words in [
        "domain=mail.evil.example",
        "email=a@evil.example",
        "ip=203.0.113.9",
        "url=http://evil.example/?www.corp.example",
    ] {
        let all = [1, 2].map(|number| found(number, 0, words).with_assets(&assets));
        assert_eq!(partition(&picture_of(&all)).len(), 1, "{words}");
    }
}

#[test]
fn hashes_of_nothing_link_nothing() {
    for hash in [
        "d41d8cd98f00b204e9800998ecf8427e",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ] {
        check_apart(&format!("hash={hash}"), &format!("hash={hash}"));
    }
}

#[test]
fn a_hash_that_every_machine_has_links_only_where_it_was_looked_for() {
    let md5 = "hash=9e107d9d372bb6826bd81d3542a419d6";
    for program in
        [r"C:\Windows\System32\cmd.exe", r"C:\Windows\explorer.exe", r"D:\Program+Files\x.exe", "/usr/bin/ssh"]
    {
        check_apart(&format!("host=A process={program} {md5}"), &format!("host=B process={program} {md5}"));
        let meant = format!("process={program} {md5} Hashes=MD5=9E107D9D372BB6826BD81D3542A419D6");
        check_linked(&format!("host=A {meant}"), &format!("host=B {meant}"));
    }
    check_linked(&format!(r"host=A process=C:\Users\a\x.exe {md5}"), &format!("host=B process=/tmp/x {md5}"));
    let imports = "imphash=00000000000000000000000000000000";
    check_apart(&format!(r"host=A process=C:\a.exe {imports}"), &format!(r"host=B process=C:\b.exe {imports}"));
}

#[test]
fn informational_detections_neither_open_incidents_nor_join_them() {
    check_incidents(&[(0, "informational host=A"), (0, "low host=A"), (40, "low host=A")], &[&[2], &[3]]);
    check_incidents(&[(0, "low host=A"), (20, "informational host=A"), (40, "low host=A")], &[&[1], &[3]]);
    let mut picture = picture_of(&[]);
    assert_eq!(picture.add(&found(1, 0, "informational host=A")).incident, None);
}

#[test]
fn a_detection_with_nothing_in_common_is_an_incident() {
    check_incidents(&[(0, ""), (0, "")], &[&[1], &[2]]);
}

#[test]
fn one_that_links_several_incidents_makes_them_one_and_the_oldest_survives() {
    let mut picture = picture_of(&[found(1, 0, "host=A"), found(2, 0, "user=alice"), found(3, 0, "ip=203.0.113.9")]);
    let (one, two, three) = (holder(&picture, 1), holder(&picture, 2), holder(&picture, 3));
    let placed = picture.add(&found(4, 5, "host=A user=alice ip=203.0.113.9"));
    assert_eq!(placed.incident, Some(one));
    assert_eq!(placed.merged, [two, three]);
    for id in [one, two, three] {
        assert_eq!(picture.incident(id).map(|incident| (incident.id, incident.detections)), Some((one, 4)));
    }
}

#[test]
fn of_two_that_began_at_once_the_first_by_id_survives() {
    let (mut a, mut b) = (found(1, 0, "host=A"), found(2, 0, "host=B"));
    a.arrived = b.arrived;
    for all in [[&a, &b], [&b, &a]] {
        let mut picture = picture_of(&all.map(Clone::clone));
        let first = holder(&picture, 1).min(holder(&picture, 2));
        let both = found(3, 0, "host=A ip=203.0.113.9");
        picture.add(&both);
        let placed = picture.add(&found(4, 0, "host=B ip=203.0.113.9"));
        assert_eq!(placed.incident, Some(first));
    }
    b.arrived = a.arrived.saturating_add_nanos(-1);
    let mut picture = picture_of(&[a, b]);
    let older = holder(&picture, 2);
    picture.add(&found(3, 0, "host=A ip=203.0.113.9"));
    assert_eq!(picture.add(&found(4, 0, "host=B ip=203.0.113.9")).incident, Some(older), "what arrived first is older");
}

#[test]
fn a_detection_says_what_it_shares_with_whom_the_nearest_first() {
    let mut picture =
        picture_of(&[found(1, 0, r"host=A process=C:\x.exe"), found(2, 9, "user=alice"), found(3, 20, "host=A")]);
    let links = picture.add(&found(4, 10, r"host=a user=CORP\alice process=c:\X.exe")).links;
    let told: Vec<_> =
        links.iter().map(|link| (link.kind, &*link.value, link.gap_nanos / 60_000_000_000, link.to)).collect();
    assert_eq!(
        told,
        [
            (LinkKind::User, r"CORP\alice", 1, id(2)),
            (LinkKind::Host, "A", 10, id(1)),
            (LinkKind::Host, "A", 10, id(3)),
            (LinkKind::Process, r"C:\x.exe", 10, id(1)),
        ]
    );
}

#[test]
fn links_of_one_detection_are_bounded() {
    let many: Vec<String> = (1..=32).map(|i| format!("ip=203.0.113.{i}")).collect();
    let mut picture = picture_of(&[found(1, 0, &many.join(" "))]);
    assert_eq!(picture.add(&found(2, 0, &many.join(" "))).links.len(), 16);
}

#[test]
fn the_same_detection_twice_changes_nothing() {
    let mut picture = picture_of(&[found(1, 0, "host=A"), found(2, 1, "host=A")]);
    let before = shown(&picture);
    let placed = picture.add(&found(2, 1, "host=A"));
    assert_eq!(placed.incident, Some(holder(&picture, 1)));
    assert!(placed.links.is_empty() && placed.merged.is_empty());
    assert_eq!(shown(&picture), before);
}

#[test]
fn an_observable_more_often_than_once_is_one() {
    let mut picture = picture_of(&[found(1, 0, "ip=203.0.113.9")]);
    assert_eq!(picture.add(&found(2, 0, "ip=203.0.113.9 ip=203.0.113.9")).links.len(), 1);
}
