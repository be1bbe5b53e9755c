//! An archive by its face. One test vocabulary: [`event`], [`write`], [`check_holds`].

mod full;
mod killed;
mod rot;
mod written;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use cresset_archive::{Appended, Archive, ArchiveError, Pack, Packer, Scan, Writer};
use cresset_event::{
    Event, EventBuilder, EventTime, FieldNames, LogSource, Origin, Source, SourceIdentity, Timestamp, Value,
};

/// Time of the first event, nanoseconds since 1970; each has a second of its own.
const BEGAN: i64 = 1_795_000_000_000_000_000;

/// Returns an event of this number.
fn event(number: u64) -> Event {
    let mut builder = EventBuilder::new(Arc::new(FieldNames::new()));
    builder.set_raw(&format!("{{\"n\":{number},\"host\":\"web{}\"}}", number % 3));
    builder.push("n", Value::Int(number as i64));
    builder.push("host", Value::Str(&format!("web{}", number % 3)));
    builder.push("src_ip", Value::Str(&format!("10.0.{}.{}", number / 256 % 256, number % 256)));
    let word = |word: &str| Some(word.to_owned());
    let services = ["one", "two"];
    builder.finish(Origin {
        source: Arc::new(Source { name: "a.log".into(), identity: SourceIdentity::Numbered }),
        record: number,
        time: EventTime::Known(Timestamp::from_nanos(BEGAN + number as i64 * 1_000_000_000)),
        log_source: Arc::new(LogSource {
            product: word("test"),
            service: word(services[number as usize % 2]),
            categories: vec![],
        }),
        ..Origin::default()
    })
}

fn pack(packer: &mut Packer, numbers: impl IntoIterator<Item = u64>) -> Pack {
    numbers.into_iter().for_each(|number| packer.add(&event(number)));
    packer.take()
}

/// Gives events to a writer.
fn write(writer: &mut Writer, numbers: impl IntoIterator<Item = u64>) -> Appended {
    let pack = pack(&mut writer.packer(), numbers);
    writer.append(&pack).expect("room")
}

/// Returns the numbers of the events that an archive has, in order, and what is damaged.
fn read(archive: &Archive) -> (Vec<u64>, Vec<ArchiveError>) {
    let names = Arc::new(FieldNames::new());
    let (mut numbers, mut damaged) = (Vec::new(), Vec::new());
    let take = |found: Event| {
        let number = found.origin().record;
        assert_eq!(found.id(), event(number).id());
        assert_eq!(found.text("n").as_deref(), Some(&*number.to_string()));
        numbers.push(number);
        ControlFlow::Continue(())
    };
    archive.scan(&Scan::default(), &names, take, |error| damaged.push(error));
    numbers.sort_unstable();
    (numbers, damaged)
}

/// Returns the numbers of the events that an archive has, in order; nothing is damaged.
fn numbers(folder: &Path) -> Vec<u64> {
    let archive = Archive::open(folder).expect("an archive");
    let (numbers, damaged) = read(&archive);
    assert!(damaged.is_empty(), "{damaged:?}");
    assert_eq!(archive.stats().events, numbers.len() as u64);
    numbers
}

/// Checks that an archive has these events, each once.
#[track_caller]
fn check_holds(folder: &Path, expected: impl IntoIterator<Item = u64>) {
    assert_eq!(numbers(folder), expected.into_iter().collect::<Vec<_>>());
}
