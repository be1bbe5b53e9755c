//! The picture of the records: read back at a start, with what came since told to it, and kept from time to time.
//!
//! A picture that is kept spares a start the years before; where it cannot be read, or is of another version, it is built anew from
//! all the records.

use cresset_picture::Picture;
use cresset_store::{REPLAY_ROWS_MAX, Store, StoreError, Told};
use tracing::{info, warn};

use crate::tuned;

/// Returns the picture that there was when the records were written, and how much was told to it since it was kept.
pub(crate) async fn picture_of(store: &Store) -> Result<(Picture, u64), StoreError> {
    let (mut picture, mut after) = match kept(store).await? {
        Some(kept) => kept,
        None => (Picture::new(tuned::stored_assets(store).await?), 0),
    };
    let mut told_since = 0;
    loop {
        let told = store.replay(after, REPLAY_ROWS_MAX).await?;
        let Some(last) = told.last() else { break };
        after = last.seq;
        told_since += told.len() as u64;
        for replayed in told {
            tell(&mut picture, replayed.what);
        }
    }
    info!(incidents = picture.incidents().count(), told_since, "the picture is that of the records");
    Ok((picture, told_since))
}

/// Returns the picture that was kept last, and its place.
async fn kept(store: &Store) -> Result<Option<(Picture, u64)>, StoreError> {
    let Some(saved) = store.saved_picture().await? else { return Ok(None) };
    match Picture::of_saved(&saved.bytes, tuned::stored_assets(store).await?) {
        Ok(picture) => Ok(Some((picture, saved.seq))),
        Err(error) => {
            warn!(%error, "the picture that was kept is of no use: it is built anew from all records");
            Ok(None)
        }
    }
}

fn tell(picture: &mut Picture, told: Told) {
    let done = match told {
        Told::Detection { withheld: true, .. } => Ok(()),
        Told::Detection { facts, .. } => {
            picture.add(&facts);
            Ok(())
        }
        Told::Forget(moment) => {
            picture.forget_before(moment);
            Ok(())
        }
        Told::Merge { into, from } => picture.merge(into, from).map(drop).map_err(|error| error.to_string()),
        Told::Split { from, detections } => {
            picture.split(from, &detections).map(drop).map_err(|error| error.to_string())
        }
        Told::State { incident, state } => {
            picture.set_state(incident, state).map(drop).map_err(|error| error.to_string())
        }
    };
    if let Err(error) = done {
        // It was possible when it was done.
        warn!(error, "a person's act cannot be done again; the picture goes on without it");
    }
}
