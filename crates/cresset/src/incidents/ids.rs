//! Ids that are typed by their beginnings.

use serde_json::Value;

use super::{items, text};
use crate::client::{Client, ClientError, percent};

/// What an incident's id begins with, which nobody types.
const PREFIX: &str = "incident--";
/// Characters of an id that are shown in tables.
const SHOWN_CHARS: usize = 8;
/// Characters of a UUID.
const WHOLE_CHARS: usize = 36;
/// Incidents and detections that are looked through, the newest first.
const LOOKED_THROUGH_MAX: usize = 20_000;

/// Returns the beginning of an id, as tables show it.
pub(super) fn short(id: &str) -> &str {
    let own = id.strip_prefix(PREFIX).unwrap_or(id);
    own.get(..SHOWN_CHARS).unwrap_or(own)
}

/// Returns the id of the one incident whose id begins so.
pub(super) fn incident(client: &Client, typed: &str) -> Result<String, ClientError> {
    let begin = typed.strip_prefix(PREFIX).unwrap_or(typed);
    if begin.len() == WHOLE_CHARS {
        return Ok(format!("{PREFIX}{}", percent(begin)));
    }
    let listed = client.list("/api/v1/incidents?order=last", LOOKED_THROUGH_MAX)?;
    one(&listed, begin, "incident")
}

/// Returns the ids of detections of an incident that begin so.
pub(super) fn detections(client: &Client, incident: &str, typed: &[String]) -> Result<Vec<String>, ClientError> {
    let listed = client.list(&format!("/api/v1/detections?incident={incident}"), LOOKED_THROUGH_MAX)?;
    typed.iter().map(|begin| one(&listed, begin, "detection of this incident")).collect()
}

fn one(listed: &Value, begin: &str, what: &str) -> Result<String, ClientError> {
    let fits = |id: &&str| !begin.is_empty() && id.strip_prefix(PREFIX).unwrap_or(id).starts_with(begin);
    let mut found = items(listed).iter().map(|item| text(item, "id")).filter(fits);
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id.to_owned()),
        (None, _) => Err(ClientError::Args(format!("no {what} has an id that begins with `{begin}`"))),
        (Some(one), Some(other)) => {
            let (one, other) = (short(one), short(other));
            Err(ClientError::Args(format!(
                "`{begin}` begins the ids of {one}, {other} and maybe more: write more of it"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_beginning_is_enough_where_it_is_of_one_only() {
        let listed =
            json!({ "items": [{ "id": "incident--3f1c0000-" }, { "id": "incident--3f1d0000-" }, { "id": "9a" }] });
        let found = |begin: &str| one(&listed, begin, "incident").map_err(|error| error.to_string());
        assert_eq!(found("3f1c").as_deref(), Ok("incident--3f1c0000-"));
        assert_eq!(found("9").as_deref(), Ok("9a"));
        assert!(found("3f1").is_err_and(|error| error.contains("write more of it")));
        assert!(found("").is_err() && found("ff").is_err());
        assert_eq!(short("incident--3f1c0000-1111"), "3f1c0000");
    }
}
