//! What happens, as it happens: detections and incidents for whoever listens.
//!
//! A listener that is slower than what happens is told how much it missed, and can read that from the lists.

use std::sync::Arc;

use tokio::sync::broadcast;

/// Things that a listener may be behind.
const BEHIND_MAX: usize = 4096;

/// That a token was taken back: nobody is told, and who listens with it is listened to no more.
pub(crate) const REVOKED: &str = "revoked";

/// Returns what is told where a token is taken back.
pub(crate) fn revoked(id: &str) -> String {
    serde_json::Value::from(id).to_string()
}

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) struct Happened {
    /// What kind of thing: `detection`, `incident` or `merged`.
    pub(crate) event: &'static str,
    /// The place of a detection among all that was recorded, from where a listener can go on.
    pub(crate) seq: Option<u64>,
    /// It, as JSON.
    pub(crate) data: Arc<str>,
}

/// Tells those who listen.
#[derive(Debug, Clone)]
pub(crate) struct Live(broadcast::Sender<Happened>);

impl Live {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(BEHIND_MAX))
    }

    /// Tells of something, if anybody listens.
    pub(crate) fn tell(&self, event: &'static str, seq: Option<u64>, what: &impl serde::Serialize) {
        if self.0.receiver_count() == 0 {
            return;
        }
        let data = serde_json::to_string(what).expect("texts, numbers and lists of them").into();
        // Who went away meanwhile does not hear it.
        let _ = self.0.send(Happened { event, seq, data });
    }

    /// Listens from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Happened> {
        self.0.subscribe()
    }
}
