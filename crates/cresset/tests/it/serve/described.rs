//! The description of the API, as a file: a change of the API is seen where it is reviewed.

use std::fs;
use std::path::Path;

#[test]
fn the_description_is_the_one_that_is_in_the_docs() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let described = serde_json::to_string_pretty(&cresset_centre::openapi()).expect("JSON") + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &described).expect("a file");
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == described, "docs/openapi.json is not what is served: UPDATE_GOLDEN=1 writes it anew");
}
