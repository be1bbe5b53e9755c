//! Protobuf's outer messages, walked without a copy: resources, in them scopes, in them records.
//!
//! Only the records, and what is said of where they come from, are decoded, one at a time. So what a request costs does
//! not depend on how its bytes are cut into messages, and a record that is damaged is one record.

use super::message::LogRecord;
use super::record::{Attributes, Context};
use super::{OtlpError, PART_BYTES_MAX};

/// Fields of `ExportLogsServiceRequest`, `ResourceLogs` and `ScopeLogs` (opentelemetry-proto, `logs/v1/logs.proto`).
const RESOURCE_LOGS: u64 = 1;
const RESOURCE: u64 = 1;
const SCOPE_LOGS: u64 = 2;
const SCOPE: u64 = 1;
const LOG_RECORDS: u64 = 2;

/// Shows each record of a request with where it comes from.
pub(super) fn visit(
    body: &[u8],
    mut each: impl FnMut(&Context<'_>, Result<LogRecord, String>) -> Result<(), OtlpError>,
) -> Result<(), OtlpError> {
    for resource_logs in parts(body, RESOURCE_LOGS) {
        let resource_logs = resource_logs?;
        let resource = Attributes::of_resource(one(resource_logs, RESOURCE)?);
        for scope_logs in parts(resource_logs, SCOPE_LOGS) {
            let scope_logs = scope_logs?;
            let context = Context::new(&resource, one(scope_logs, SCOPE)?);
            for record in parts(scope_logs, LOG_RECORDS) {
                each(&context, decode(record?))?;
            }
        }
    }
    Ok(())
}

/// Returns the message in a field, the last where there are several, or an empty one.
fn one<M: prost::Message + Default>(message: &[u8], field: u64) -> Result<M, OtlpError> {
    let mut found = None;
    for part in parts(message, field) {
        found = Some(part?);
    }
    found.map_or_else(|| Ok(M::default()), |part| decode(part).map_err(OtlpError::Malformed))
}

fn decode<M: prost::Message + Default>(part: &[u8]) -> Result<M, String> {
    if part.len() > PART_BYTES_MAX {
        return Err(format!("a record of more than {PART_BYTES_MAX} bytes"));
    }
    M::decode(part).map_err(|error| error.to_string())
}

/// Returns the messages in one field of a message.
fn parts(message: &[u8], wanted: u64) -> impl Iterator<Item = Result<&[u8], OtlpError>> {
    let mut rest = Some(message);
    let all = std::iter::from_fn(move || {
        let mut bytes = rest.take().filter(|bytes| !bytes.is_empty())?;
        let field = next_field(&mut bytes);
        // Behind damage nothing is known to begin.
        rest = field.is_some().then_some(bytes);
        Some(field.ok_or_else(|| OtlpError::Malformed("a field of protobuf that ends too early".into())))
    });
    all.filter_map(move |field| match field {
        Ok((number, Some(part))) if number == wanted => Some(Ok(part)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}

/// Takes a field off: its number, and its bytes where it has a length. `None` where it is not there in full.
fn next_field<'b>(bytes: &mut &'b [u8]) -> Option<(u64, Option<&'b [u8]>)> {
    let key = number(bytes)?;
    let part = match key & 7 {
        0 => number(bytes).map(|_| None),
        1 => cut(bytes, 8).map(|_| None),
        2 => number(bytes).and_then(|length| cut(bytes, usize::try_from(length).ok()?)).map(Some),
        5 => cut(bytes, 4).map(|_| None),
        // Groups, which no message of OTLP has.
        _ => None,
    };
    Some((key >> 3, part?))
}

fn cut<'b>(bytes: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (part, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(part)
}

/// Takes a number off: seven bits a byte, the lowest first, the highest bit set where more follow.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = cut(bytes, 1)? else { return None };
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_kind_are_stepped_over() {
        let message = [0x08, 0x96, 0x01, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x12, 2, b'a', b'b', 0x1d, 1, 2, 3, 4, 0x12, 0];
        let found: Result<Vec<&[u8]>, _> = parts(&message, 2).collect();
        assert_eq!(found, Ok(vec![&b"ab"[..], b""]));
        assert_eq!(parts(&message, 1).count(), 0);
    }

    #[test]
    fn what_ends_too_early_ends_with_an_error() {
        for message in [
            &[0x12, 5, 1][..],
            &[0x80],
            &[0x13],
            &[0x11, 1],
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            let found: Vec<_> = parts(message, 2).collect();
            assert!(matches!(found.as_slice(), [Err(OtlpError::Malformed(_))]), "{message:?}: {found:?}");
        }
    }
}
