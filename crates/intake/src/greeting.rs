//! What clients of Elasticsearch ask before and beside `_bulk`, and the small answers on which they go on.
//!
//! Seen of them: the Python client asks nothing before, and refuses every answer without [`PRODUCT`]; omelasticsearch
//! asks `/_cat/health` where it has several servers, and newer ones `/`; Filebeat and Logstash ask `/`, the licence,
//! and for the templates and policies that they would set up; Vector asks `/_cluster/health`. There are no templates
//! and policies here: to make one is acknowledged and changes nothing, since documents are kept as they come.

use serde_json::json;

use crate::answer::Answer;

/// The header that each answer to a client of Elasticsearch must have: the Python, Java, Go and .NET clients since 7.14
/// talk to nobody without it.
pub const PRODUCT: (&str, &str) = ("x-elastic-product", "Elasticsearch");
/// The version that is told: the last minor of series 8. Shippers refuse a server that is older than themselves unless
/// they are told not to (`allow_older_versions`).
const VERSION: &str = "8.19.0";

/// Names behind which shippers keep what Elasticsearch should do with documents.
const SETUP: &[&str] =
    &["_template", "_index_template", "_component_template", "_ilm", "_data_stream", "_ingest", "_alias", "_aliases"];

/// Returns the answer to `GET /`: who is there, and of which version.
pub fn greeting() -> Answer {
    let version = json!({
        "number": VERSION,
        "build_flavor": "default",
        "build_type": "cresset",
        "build_hash": "cresset",
        "build_snapshot": false,
        "minimum_wire_compatibility_version": "7.17.0",
        "minimum_index_compatibility_version": "7.0.0",
    });
    let tagline = "You Know, for Search";
    let name = "cresset";
    let greeting =
        json!({ "name": name, "cluster_name": name, "cluster_uuid": name, "version": version, "tagline": tagline });
    Answer::json(200, &greeting)
}

/// Returns the answer to a small question, by its method and path (with or without what stands behind a `?`); `None`
/// where nothing is known to ask that.
pub fn small_answer(method: &str, path: &str) -> Option<Answer> {
    let path = path.split('?').next().unwrap_or_default().trim_matches('/');
    let parts: Vec<&str> = path.splitn(4, '/').collect();
    let answer = match (method, parts.as_slice()) {
        ("GET" | "HEAD", [""]) => greeting(),
        ("GET", ["_license"]) => Answer::json(200, &json!({ "license": licence() })),
        ("GET", ["_xpack"]) => Answer::json(200, &json!({ "license": licence(), "features": {} })),
        ("GET" | "HEAD", ["_cluster", "health", ..]) => Answer::json(200, &health()),
        ("GET" | "HEAD", ["_cat", "health"]) => Answer::text(200, "cresset green 1 1\n"),
        ("GET" | "HEAD", [name, ..]) if SETUP.contains(name) => Answer::json(200, &json!({})),
        ("PUT" | "POST", [name, ..]) if SETUP.contains(name) => Answer::json(200, &json!({ "acknowledged": true })),
        ("HEAD", [index]) if !index.starts_with('_') => Answer::json(200, &json!({})),
        _ => return None,
    };
    let body = if method == "HEAD" { Vec::new() } else { answer.body };
    Some(Answer { body, ..answer })
}

fn licence() -> serde_json::Value {
    json!({ "uid": "cresset", "type": "basic", "mode": "basic", "status": "active" })
}

fn health() -> serde_json::Value {
    json!({
        "cluster_name": "cresset",
        "status": "green",
        "timed_out": false,
        "number_of_nodes": 1,
        "number_of_data_nodes": 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(method: &str, path: &str) -> serde_json::Value {
        let answer = small_answer(method, path).unwrap_or_else(|| panic!("{method} {path} is answered"));
        assert_eq!(answer.status, 200);
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    #[test]
    fn what_clients_look_at_is_there() {
        for path in ["/", "", "/?pretty"] {
            let greeting = json("GET", path);
            assert!(greeting["version"]["number"].as_str().is_some_and(|number| number.starts_with("8.")));
            assert_eq!(greeting["tagline"], "You Know, for Search");
            assert_eq!(greeting["version"]["build_flavor"], "default");
        }
        assert_eq!(json("GET", "/_license")["license"]["status"], "active");
        assert_eq!(json("GET", "/_xpack")["license"]["type"], "basic");
        assert_eq!(json("GET", "/_cluster/health?local=true")["status"], "green");
        assert_eq!(json("PUT", "/_index_template/filebeat-8.19.0")["acknowledged"], true);
        assert_eq!(
            small_answer("GET", "/_cat/health").map(|answer| answer.content_type),
            Some("text/plain; charset=utf-8")
        );
    }

    #[test]
    fn a_head_has_no_body() {
        for path in ["/", "/logs-a", "/_index_template/filebeat-8.19.0", "/_data_stream/filebeat"] {
            let answer = small_answer("HEAD", path).unwrap_or_else(|| panic!("HEAD {path} is answered"));
            assert_eq!((answer.status, answer.body), (200, Vec::new()));
        }
    }

    #[test]
    fn what_is_not_known_has_no_answer() {
        for (method, path) in [("GET", "/logs/_search"), ("POST", "/_bulk"), ("DELETE", "/logs"), ("HEAD", "/_search")]
        {
            assert_eq!(small_answer(method, path), None, "{method} {path}");
        }
    }
}
