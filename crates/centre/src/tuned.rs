//! What the store keeps as text for the picture: exclusions, silences and assets, read back as what they are.

use cresset_event::Timestamp;
use cresset_picture::{Assets, Exclusion, Facts, LeftOutBy, Silence, Tuning};
use cresset_store::{Store, StoreError, TuningKind};
use tracing::warn;

use crate::problem::Problem;

/// Returns the exclusions and silences that hold. One that cannot be read any more leaves nothing out, and is told.
pub(crate) async fn load(store: &Store) -> Result<Tuning, StoreError> {
    let (mut exclusions, mut silences) = (Vec::<Exclusion>::new(), Vec::<Silence>::new());
    for row in store.tunings().await?.into_iter().filter(|row| row.removed.is_none()) {
        let definition = &row.tuning.definition;
        let read = match row.tuning.kind {
            TuningKind::Exclusion => serde_json::from_str(definition).map(|exclusion| exclusions.push(exclusion)),
            TuningKind::Silence => serde_json::from_str(definition).map(|silence| silences.push(silence)),
        };
        if let Err(error) = read {
            warn!(id = row.tuning.id, %error, "cannot be read, and leaves nothing out");
        }
    }
    Ok(Tuning::new(exclusions, silences).unwrap_or_else(|error| {
        warn!(%error, "what is to be left out cannot be used; nothing is left out");
        Tuning::default()
    }))
}

/// Returns what withholds a detection from the picture now: `exclusion:` or `silence:` and which.
pub(crate) fn withheld_by(tuning: &Tuning, facts: &Facts, now: Timestamp) -> Option<String> {
    tuning.applies(facts, now).map(|by| match by {
        LeftOutBy::Exclusion(exclusion) => format!("exclusion:{}", exclusion.id),
        LeftOutBy::Silence(silence) => format!("silence:{}", silence.cause),
    })
}

/// Reads a list of assets that somebody gives.
pub(crate) fn assets(form: &str, text: &str) -> Result<Assets, Problem> {
    let read = if form == "csv" { Assets::from_csv(text) } else { Assets::from_toml(text) };
    read.map_err(|error| Problem::content(error.to_string()))
}

/// Returns the list of assets that is in force.
pub(crate) async fn stored_assets(store: &Store) -> Result<Assets, StoreError> {
    let Some(row) = store.assets().await? else { return Ok(Assets::new()) };
    Ok(assets(&row.form, &row.text).unwrap_or_else(|problem| {
        warn!(reason = problem.detail(), "the assets cannot be read; everything is of normal value");
        Assets::new()
    }))
}
