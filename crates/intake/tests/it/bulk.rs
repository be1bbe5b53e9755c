//! Bodies of `_bulk` as rsyslog, the Python client and others send them.

use cresset_intake::bulk::{self, Action, Bulk, BulkError, DOCUMENT_BYTES_MAX, ITEMS_MAX, Outcome};
use proptest::prelude::*;

use crate::check_golden;

fn parse(body: &str) -> Bulk {
    Bulk::parse(body.as_bytes(), "logs").unwrap_or_else(|error| panic!("{body:?}: {error}"))
}

/// The lines of the documents, and of each action what it is, its index, its id, and its line where it has one.
#[track_caller]
fn check_reads(body: &str, docs: &str, items: &[&str]) {
    let bulk = parse(body);
    assert_eq!(String::from_utf8_lossy(&bulk.docs), docs);
    assert_eq!(bulk.documents(), docs.lines().count());
    let shown: Vec<String> = bulk
        .items
        .iter()
        .map(|item| {
            let line = item.line.as_ref().map_or("refused".into(), |line| line.to_string());
            format!("{:?} {} {} {line}", item.action, item.index, item.id.as_deref().unwrap_or("-"))
        })
        .collect();
    assert_eq!(shown, items);
}

#[track_caller]
fn check_refuses(body: &str, expected: &str) {
    let error = Bulk::parse(body.as_bytes(), "logs").expect_err("a request that is refused");
    assert_eq!(error.to_string(), expected);
}

/// What becomes of each document of a request, and of each action without an id one that tells its line.
fn respond(bulk: &Bulk, outcomes: &[Outcome]) -> serde_json::Value {
    let answer = bulk.respond(1, outcomes, |line| format!("made-{line}"));
    assert_eq!((answer.status, answer.content_type), (200, "application/json"));
    serde_json::from_slice(&answer.body).expect("JSON")
}

#[test]
fn what_rsyslog_sends() {
    let body = "{\"index\":{\"_index\": \"logs-a\",\"_type\":\"events\"}}\n{\"message\":\" one\"}\n\
                {\"create\":{\"_index\": \"logs-a\", \"_id\":\"17\"}}\n{\"message\":\"two\"}\n\
                {\"create\":{}}\n{\"message\":\"three\"}\n";
    let docs = "{\"message\":\" one\"}\n{\"message\":\"two\"}\n{\"message\":\"three\"}\n";
    check_reads(body, docs, &["Index logs-a - 0", "Create logs-a 17 1", "Create logs - 2"]);
}

#[test]
fn what_the_python_client_sends() {
    let body = "{\"index\":{\"_id\":\"0\",\"_index\":\"a\"}}\n{\"n\":0}\n\
                {\"delete\":{\"_id\":\"9\",\"_index\":\"b\"}}\n\
                {\"update\":{\"_id\":\"9\",\"_index\":\"b\"}}\n{\"doc\":{\"a\":1}}\n\
                {\"create\":{\"_index\":\"b\"}}\n{\"n\":1}\n";
    let items = ["Index a 0 0", "Delete b 9 refused", "Update b 9 refused", "Create b - 1"];
    check_reads(body, "{\"n\":0}\n{\"n\":1}\n", &items);
}

#[test]
fn lenient_where_nothing_is_in_doubt() {
    check_reads(
        "{\"index\":{}}\n{\"no\":\"line feed behind it\"}",
        "{\"no\":\"line feed behind it\"}\n",
        &["Index logs - 0"],
    );
    check_reads("\r\n{\"index\":{\"_id\":7}}\r\n {\"a\":1} \r\n\n\n", "{\"a\":1}\n", &["Index logs 7 0"]);
    check_reads("{\"index\":{\"_id\":null,\"op_type\":\"create\"}}\n{}\n", "{}\n", &["Create logs - 0"]);
    check_reads("{\"index\":{\"_id\":\"\",\"pipeline\":\"p\",\"version\":3}}\n{}\n", "{}\n", &["Index logs - 0"]);
}

#[test]
fn a_bad_document_costs_itself_alone() {
    let body = "{\"index\":{}}\n{\"a\":\n{\"index\":{}}\n[1]\n{\"index\":{}}\n\n{\"index\":{}}\n{\"a\":1}{}\n\
                {\"index\":{\"_index\":\"\"}}\n{}\n{\"index\":{}}\n{\"good\":1}\n{\"index\":{}}\n";
    let mut items = ["Index logs - refused"; 7];
    items[4] = "Index  - refused";
    items[5] = "Index logs - 0";
    check_reads(body, "{\"good\":1}\n", &items);
    let not_utf8 = [b"{\"index\":{}}\n{\"a\":\"\xff\"}\n".as_slice(), b"{\"index\":{}}\n{\"a\":1}\n"].concat();
    assert_eq!(Bulk::parse(&not_utf8, "logs").expect("actions").docs, b"{\"a\":1}\n");
}

#[test]
fn a_line_that_is_no_action_refuses_the_whole() {
    check_refuses("", "Validation Failed: 1: no requests added;");
    check_refuses("\n\r\n", "Validation Failed: 1: no requests added;");
    check_refuses("[{}]\n", "Malformed action/metadata line [1], expected START_OBJECT but found something else");
    check_refuses("{}\n", "Malformed action/metadata line [1], expected FIELD_NAME but found [END_OBJECT]");
    let begun = "\n{\"index\":{}}\n{}\n";
    let unknown =
        "Malformed action/metadata line [4], expected field [create], [delete], [index] or [update] but found [upsert]";
    check_refuses(&format!("{begun}{{\"upsert\":{{}}}}\n{{}}\n"), unknown);
    let two = "Malformed action/metadata line [4], expected END_OBJECT but found [FIELD_NAME]";
    check_refuses(&format!("{begun}{{\"index\":{{}},\"create\":{{}}}}\n{{}}\n"), two);
    for bad in [
        "{\"index\":null}",
        "{\"index\":",
        "{\"index\":{\"_id\":[1]}}",
        "{\"index\":{\"_index\":7}}",
        "{\"index\":{}}x",
    ] {
        let error = Bulk::parse(format!("{begun}{bad}\n{{}}\n").as_bytes(), "logs").expect_err(bad);
        assert!(matches!(error, BulkError::Malformed { line: 4, .. }), "{bad}: {error}");
    }
    let long = format!("{{\"index\":{{\"_id\":\"{}\"}}}}", "a".repeat(20_000));
    check_refuses(&long, "Malformed action/metadata line [1], expected 16384 bytes at most but found [20020]");
}

#[test]
fn bounds_are_inclusive() {
    let actions = |count| "{\"index\":{}}\n{}\n".repeat(count);
    assert_eq!(parse(&actions(ITEMS_MAX)).documents(), ITEMS_MAX);
    let error = Bulk::parse(actions(ITEMS_MAX + 1).as_bytes(), "logs").expect_err("one too many");
    assert_eq!(error.answer().status, 413);
    let document = |bytes: usize| format!("{{\"index\":{{}}}}\n{{\"a\":\"{}\"}}\n", "b".repeat(bytes - 8));
    assert_eq!(parse(&document(DOCUMENT_BYTES_MAX)).documents(), 1);
    assert_eq!(respond(&parse(&document(DOCUMENT_BYTES_MAX + 1)), &[])["items"][0]["index"]["status"], 413);
    let named = |id: usize| format!("{{\"index\":{{\"_id\":\"{}\"}}}}\n{{}}\n", "i".repeat(id));
    assert_eq!((parse(&named(512)).documents(), parse(&named(513)).documents()), (1, 0));
}

#[test]
fn answers_are_as_elasticsearch_writes_them() {
    let body =
        "{\"index\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{}\n{\"create\":{\"_id\":\"2\"}}\n{}\n{\"index\":{}}\n{}\n";
    let bulk = parse(body);
    assert_eq!(bulk.items[1].action, Action::Create);
    let made = |line: usize| format!("made-{line}");
    check_golden("bulk_created.json", &bulk.respond(7, &[Outcome::Stored, Outcome::Stored, Outcome::Stored], made));
    check_golden("bulk_known.json", &bulk.respond(7, &[Outcome::Known, Outcome::Known, Outcome::Stored], made));
    let unread = [Outcome::Unreadable("128 levels \"deep\"".into()), Outcome::Busy, Outcome::Stored];
    check_golden("bulk_failed.json", &bulk.respond(7, &unread, made));
    let refused = parse("{\"delete\":{\"_id\":\"1\"}}\n{\"update\":{}}\n{}\n{\"index\":{}}\nnone\n");
    check_golden("bulk_refused_items.json", &refused.respond(0, &[], made));
    let error = Bulk::parse(b"{\"index\":{}}\n{}\nnone\n", "logs").expect_err("a line that is no action");
    check_golden("bulk_malformed.json", &error.answer());
    check_golden("bulk_busy.txt", &bulk::busy());
}

#[test]
fn one_document_by_itself() {
    let rsyslog = Bulk::parse_one(Action::Index, "logs", None, b"{\"message\":\r\n \" one\"}\n");
    assert_eq!(String::from_utf8_lossy(&rsyslog.docs), "{\"message\":   \" one\"}\n");
    check_golden("one_created.json", &rsyslog.respond(7, &[Outcome::Stored], |_| "made".into()));
    let known = Bulk::parse_one(Action::Create, "logs", Some("1"), b"{}");
    check_golden("one_known.json", &known.respond(7, &[Outcome::Known], |_| unreachable!("it has an id")));
    assert_eq!(known.respond(7, &[Outcome::Busy], |_| unreachable!("it has an id")), bulk::busy());
    let bad = Bulk::parse_one(Action::Index, "logs", None, b"{\"a\":1}\n{\"b\":2}\n");
    check_golden("one_refused.json", &bad.respond(7, &[], |_| unreachable!("it has no document")));
}

#[test]
fn what_fluent_bit_looks_for_stands_there() {
    let answer = parse("{\"index\":{}}\n{}\n").respond(7, &[Outcome::Stored], |_| "1".into());
    assert!(String::from_utf8_lossy(&answer.body).contains("\"errors\":false,\"items\":["));
}

#[test]
#[should_panic(expected = "one outcome a document")]
fn an_outcome_that_is_missing_is_a_fault_of_ours() {
    parse("{\"index\":{}}\n{}\n").respond(0, &[], |_| String::new());
}

/// An action with its document, and whether it is one that is kept.
fn action() -> impl Strategy<Value = (String, bool)> {
    let document = ("[a-z]{1,3}", any::<i32>()).prop_map(|(name, value)| format!("{{\"{name}\":{value}}}"));
    prop_oneof![
        document.clone().prop_map(|document| (format!("{{\"index\":{{\"_id\":\"a\"}}}}\n{document}\n"), true)),
        document.clone().prop_map(|document| (format!("{{\"create\":{{\"_index\":\"b\"}}}}\n{document}\n"), true)),
        document.prop_map(|document| (format!("{{\"update\":{{}}}}\n{document}\n"), false)),
        Just(("{\"delete\":{\"_id\":\"a\"}}\n".to_owned(), false)),
        "[a-z\\[\"]{0,8}".prop_map(|bad| (format!("{{\"index\":{{}}}}\n{bad}\n"), false)),
    ]
}

/// Bytes that requests are made of, and some that they are not.
const OF_REQUESTS: &[u8] = b"{}[]\":,\n\r\\ aindexcreate_id0\xff\0";

proptest! {
    #[test]
    fn each_action_is_answered_once_and_in_order(actions in prop::collection::vec(action(), 1..20)) {
        let body: String = actions.iter().map(|(text, _)| text.as_str()).collect();
        let bulk = parse(&body);
        let outcomes = vec![Outcome::Stored; bulk.documents()];
        let response = respond(&bulk, &outcomes);
        let items = response["items"].as_array().expect("a list");
        prop_assert_eq!(items.len(), actions.len());
        let mut line = 0;
        for (item, (text, is_kept)) in items.iter().zip(&actions) {
            let result = item.as_object().and_then(|item| item.values().next()).expect("one action");
            prop_assert_eq!(result["status"] == 201, *is_kept, "{} {}", text, result);
            if *is_kept {
                let document = text.lines().nth(1);
                prop_assert_eq!(std::str::from_utf8(&bulk.docs).expect("UTF-8").lines().nth(line), document);
                line += 1;
            }
        }
        prop_assert_eq!(line, bulk.documents());
        prop_assert_eq!(&response["errors"], &serde_json::json!(line < actions.len()));
    }

    #[test]
    fn any_bytes_are_a_request_or_an_error(
        body in prop::collection::vec(prop::sample::select(OF_REQUESTS), 0..120),
        begun in any::<bool>(),
    ) {
        let body = [if begun { &b"{\"index\":{}}\n"[..] } else { b"" }, &body].concat();
        match Bulk::parse(&body, "logs") {
            Ok(bulk) => {
                let lines = bulk.docs.iter().filter(|byte| **byte == b'\n').count();
                prop_assert_eq!(lines, bulk.documents());
                prop_assert_eq!(bulk.items.iter().filter(|item| item.line.is_ok()).count(), lines);
                respond(&bulk, &vec![Outcome::Known; lines]);
            }
            Err(error) => prop_assert!(error.answer().status >= 400),
        }
    }
}
