//! What lets whoever owns the folder of a centre work with it: a file with its address and a token of its own.
//!
//! Written when the centre can be used, for the owner alone, and taken away at its end; the token is another one at each start.
//! A file that a centre left that was killed lets nobody in once the next one runs.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use cresset_event::Timestamp;
use cresset_pipeline::whole_file::{self, Readers};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::app::App;
use crate::serve::ServeError;

/// The file's name, in the folder of the centre.
const FILE: &str = "local.json";

/// How the centre of a folder is reached.
#[derive(Serialize, Deserialize)]
pub struct Local {
    /// Its address, on this machine.
    pub url: String,
    /// A token of an administrator.
    pub token: String,
    /// The SHA-256 of its certificate, where it serves over TLS.
    pub fingerprint: Option<String>,
}

impl Local {
    /// Reads the file of a folder; `None` where no centre runs.
    pub fn load(data: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(data.join(FILE)).ok()?).ok()
    }
}

/// Lets the owner of the folder in.
pub(crate) async fn open(app: &App, address: SocketAddr, fingerprint: Option<String>) -> Result<(), ServeError> {
    let issued = app.store.renew_local_token(Timestamp::now()).await?;
    let scheme = if app.is_tls { "https" } else { "http" };
    let url = format!("{scheme}://{}", SocketAddr::new(own_side(address.ip()), address.port()));
    let local = Local { url, token: issued.secret.reveal().to_owned(), fingerprint };
    let (file, json) = (app.config.data.join(FILE), serde_json::to_vec(&local).expect("texts"));
    whole_file::write(&file, Readers::Owner, &json).map_err(|cause| ServeError::Local { file, cause })
}

/// Returns where this machine reaches what listens there.
fn own_side(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// Lets the owner in no more.
pub(crate) async fn close(app: &App) {
    // The next start does both again.
    if let Err(error) = app.store.revoke_local_token(Timestamp::now()).await {
        warn!(error = cresset_archive::with_causes(&error), "the local token holds until the next start");
    }
    let _ = fs::remove_file(app.config.data.join(FILE));
}
