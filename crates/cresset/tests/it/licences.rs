//! Every crate that is built in comes under a licence of `deny.toml`. `cargo deny` in ./prove looks further (texts, sources).

use std::process::Command;

use spdx::{Expression, ParseMode};

#[test]
fn every_crate_has_an_allowed_licence() {
    let policy: toml::Table = toml::from_str(include_str!("../../../../deny.toml")).expect("deny.toml is TOML");
    let allowed: Vec<&str> =
        policy["licenses"]["allow"].as_array().expect("a list").iter().filter_map(toml::Value::as_str).collect();
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 100, "only {} packages", packages.len());
    for package in packages {
        let (name, licence) = (&package["name"], package["license"].as_str());
        let licence = licence.unwrap_or_else(|| panic!("{name} names no licence"));
        let expression =
            Expression::parse_mode(licence, ParseMode::LAX).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            expression.evaluate(|required| allowed.contains(&required.to_string().as_str())),
            "{name} comes under `{licence}`, of which deny.toml allows no part: drop the crate, or argue for the licence there"
        );
    }
}

/// Asks cargo for every crate that is built on this kind of machine.
fn metadata() -> serde_json::Value {
    let version = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let version = String::from_utf8(version.stdout).expect("UTF-8");
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", host, "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo runs");
    serde_json::from_slice(&output.stdout).expect("cargo's metadata")
}
