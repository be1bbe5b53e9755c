//! Lists of assets: what is read, what is refused and how it is found.

use cresset_picture::{AssetValue, Assets};
use proptest::prelude::*;

const TOML: &str = r#"
[[asset]]
name = "DC01.corp.example"
addresses = ["10.0.0.10", "2001:db8::10"]
owner = "directory team"
value = "vital"

[[asset]]
name = "lab"
addresses = ["10.0.0.0/8"]
value = "low"

[[asset]]
name = "servers"
addresses = ["10.0.0.0/24"]
value = "high"
"#;

fn value_of_host(assets: &Assets, host: &str) -> Option<AssetValue> {
    assets.of_host(host).map(|asset| asset.value)
}

#[track_caller]
fn check_refused(read: Result<Assets, cresset_picture::AssetsError>, line: u64, reason: &str) {
    let error = read.expect_err(reason);
    assert!(error.line == line && error.reason.contains(reason), "{error}");
}

#[test]
fn a_machine_is_found_by_its_short_name_and_its_long_one_whatever_the_case() {
    let assets = Assets::from_toml(TOML).expect("a list");
    for host in ["dc01.corp.example", "DC01.CORP.EXAMPLE.", "dc01", "Dc01", "10.0.0.10", "2001:DB8::10"] {
        assert_eq!(value_of_host(&assets, host), Some(AssetValue::Vital), "{host}");
    }
    for host in ["dc01.other.example", "dc02", "", "192.0.2.1", "corp.example"] {
        assert_eq!(value_of_host(&assets, host), None, "{host}");
    }
    assert_eq!(value_of_host(&assets, "LAB.any.example"), Some(AssetValue::Low), "a list may have short names");
    assert_eq!(assets.of_host("dc01").and_then(|asset| asset.owner.as_deref()), Some("directory team"));
}

#[test]
fn of_two_machines_of_one_short_name_the_more_valuable_is_meant() {
    let list = |values: [&str; 2]| {
        let [a, b] = values;
        format!("name,value\nx.a.example,{a}\nx.b.example,{b}\n")
    };
    for values in [["low", "vital"], ["vital", "low"]] {
        let assets = Assets::from_csv(&list(values)).expect("a list");
        assert_eq!(value_of_host(&assets, "x"), Some(AssetValue::Vital));
    }
}

#[test]
fn an_address_is_of_the_narrowest_range() {
    let assets = Assets::from_toml(TOML).expect("a list");
    let name = |text: &str| assets.of_address(text.parse().expect("an address")).map(|asset| asset.name.as_str());
    assert_eq!(name("10.0.0.10"), Some("DC01.corp.example"));
    assert_eq!(name("10.0.0.11"), Some("servers"));
    assert_eq!(name("10.0.1.1"), Some("lab"));
    assert_eq!(name("::ffff:10.0.1.1"), Some("lab"));
    assert_eq!((name("11.0.0.0"), name("2001:db8::11")), (None, None));
}

#[test]
fn csv_has_columns_in_any_order_and_several_addresses_in_a_cell() {
    let text = "\u{feff}value,name,addresses\r\nhigh, ws01 ,\"10.0.0.1; 10.0.0.2 10.1.0.0/16\"\r\n,ws02,\r\n";
    let assets = Assets::from_csv(text).expect("a list");
    let all: Vec<_> = assets.iter().map(|asset| (&*asset.name, asset.addresses.len(), asset.value)).collect();
    assert_eq!(all, [("ws01", 3, AssetValue::High), ("ws02", 0, AssetValue::Normal)]);
    assert_eq!(Assets::from_csv("name\n").expect("an empty list").iter().count(), 0);
}

#[test]
fn a_bad_list_is_refused_with_its_line_and_what_to_do() {
    let toml = |text: &str| Assets::from_toml(text);
    check_refused(
        toml("[[asset]]\nname = \"a\"\n[[asset]]\nname = \"b\"\naddresses = [\"10.0.0\"]"),
        3,
        "is no address; write",
    );
    check_refused(toml("[[asset]]\nname = \"a\"\nvalue = \"huge\""), 1, "write low, normal, high or vital");
    check_refused(toml("\n[[asset]]\nnmae = \"a\""), 3, "unknown field");
    check_refused(toml("[[asset]]\nvalue = \"low\""), 1, "missing field");
    check_refused(toml("[[asset]]\nname = \" \""), 1, "without a name; give it its host name");
    check_refused(
        toml("[[asset]]\nname = \"a\"\n[[asset]]\nname = \"A\""),
        3,
        "listed twice; put its addresses into one",
    );
    let csv = |text: &str| Assets::from_csv(text);
    check_refused(csv("addresses\n"), 1, "no column `name`");
    check_refused(csv("name,colour\n"), 1, "`colour` is no column");
    check_refused(csv("name,value\na,low\nb,tall\n"), 3, "write low, normal, high or vital");
    check_refused(csv("name,value\na,low\nb\n"), 3, "1 columns where the first line names 2");
    check_refused(csv("name,addresses\na,10.0.0.1\nb,10.0.0.1\n"), 3, "listed for `a` already; leave it with one");
    check_refused(csv("name,addresses\n\"a\nb\",10.0.0.1/99\n"), 2, "is no address");
}

proptest! {
    #[test]
    fn any_text_is_a_list_or_an_error_with_a_line_of_it(
        parts in prop::collection::vec(prop::sample::select(PARTS), 0..24), other in any::<String>(),
    ) {
        let text = parts.concat();
        for text in [text.as_str(), other.as_str(), &(text.clone() + &other)] {
            for read in [Assets::from_toml(text), Assets::from_csv(text)] {
                let lines = text.lines().count() as u64 + 1;
                prop_assert!(read.as_ref().err().is_none_or(|error| (1..=lines).contains(&error.line)), "{:?}", read);
            }
        }
    }
}

/// What lists are made of.
const PARTS: &[&str] = &[
    "[[asset]]\n",
    "name",
    " = ",
    "\"a\"",
    "addresses",
    "[",
    "]",
    "\"10.0.0.0/8\"",
    "owner",
    "value",
    "vital",
    ",",
    "\n",
    "\"",
    ";",
    "\r\n",
    "\u{feff}",
    "::1",
    "/129",
    "é",
    "\0",
    "name,addresses,owner,value\n",
    "a,,,\n",
    "\"x\ny\",,,low\n",
];
