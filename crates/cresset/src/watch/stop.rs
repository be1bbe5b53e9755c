//! Ctrl-C and SIGTERM: a watch that follows its logs ends in good order. A second signal ends it at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Exit status of a program that was interrupted, as shells give it.
#[cfg(unix)]
const INTERRUPTED: i32 = 130;

/// Listens from now on, and returns what tells that the watch is to end.
#[cfg(unix)]
pub(super) fn asked_for() -> io::Result<Arc<AtomicBool>> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;

    let is_asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds it unset.
        flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&is_asked))?;
        flag::register(signal, Arc::clone(&is_asked))?;
    }
    Ok(is_asked)
}

/// Nothing asks where there are no such signals.
#[cfg(not(unix))]
pub(super) fn asked_for() -> io::Result<Arc<AtomicBool>> {
    Ok(Arc::default())
}
