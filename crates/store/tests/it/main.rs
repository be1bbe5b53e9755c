//! The store by its face, over both databases. One test vocabulary: [`both!`] runs a test over SQLite and PostgreSQL, a
//! [`Place`] is an empty database, [`detection`] and [`incident`] make records by number.

mod acts;
mod audit;
mod backup;
mod busy;
mod full;
mod killed;
mod lists;
mod migrations;
mod places;
mod record;
mod replay;
mod requests;
mod samples;
mod tokens;

use cresset_event::Timestamp;
use cresset_store::{Batch, By, Store};

use crate::places::Place;
use crate::samples::{detection, incident};

/// Makes a test for each database of functions that take a [`Place`].
macro_rules! both {
    ($($test:ident),+ $(,)?) => {
        $(mod $test {
            #[test]
            fn sqlite() {
                crate::places::over_sqlite(super::$test);
            }

            #[test]
            fn postgres() {
                crate::places::over_postgres(super::$test);
            }
        })+
    };
}
pub(crate) use both;

/// Returns a moment, in seconds of no meaning.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(1_800_000_000_000_000_000 + seconds * 1_000_000_000)
}

/// Returns an analyst at work.
fn analyst(seconds: i64) -> By {
    By { actor: "token-ana".into(), at: at(seconds) }
}

/// Records detections and incidents of these numbers.
async fn record(store: &Store, detections: std::ops::Range<u64>, incidents: std::ops::Range<u64>) {
    let batch = Batch {
        at: at(0),
        detections: detections.map(detection).collect(),
        incidents: incidents.map(incident).collect(),
        ..Batch::default()
    };
    store.record(&batch).await.expect("recorded");
}
