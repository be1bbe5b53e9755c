//! The arrows between crates are those that `docs/architecture.md` shows, and no others; every crate is in it.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

#[test]
fn crates_use_only_what_the_architecture_allows() {
    let allowed = allowed_arrows();
    for (name, uses) in real_arrows() {
        let may = allowed
            .get(&name)
            .unwrap_or_else(|| panic!("`{name}` is not in the table of docs/architecture.md: add it"));
        for used in uses {
            assert!(
                may.contains(&used),
                "`{name}` uses `{used}`, which docs/architecture.md does not show: drop it, or argue for it there"
            );
        }
    }
}

/// Reads the table "crate | may use".
fn allowed_arrows() -> BTreeMap<String, Vec<String>> {
    let text = include_str!("../../../../docs/architecture.md");
    let rows =
        text.lines().skip_while(|line| !line.contains("| may use |")).skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let name = cells.next().expect("a crate").to_owned();
        let uses = cells.next().unwrap_or_default().split(", ").filter(|used| !used.is_empty());
        (name, uses.map(Into::into).collect())
    })
    .collect()
}

/// Asks cargo, development dependencies included, but for what all tests may use.
fn real_arrows() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo's metadata");
    let short = |name: &str| name.strip_prefix("cresset-").unwrap_or(name).to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            let of_tests = |dependency: &Value| dependency["kind"] == "dev" && dependency["name"] == "cresset-testing";
            let own = dependencies.iter().filter(|one| one["path"].is_string() && !of_tests(one));
            let uses = own.filter_map(|dependency| dependency["name"].as_str()).map(short).collect();
            (short(package["name"].as_str().expect("a name")), uses)
        })
        .collect()
}
