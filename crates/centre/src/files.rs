//! Open files: as many as the system lets us have, and who may use them.
//!
//! A connection takes one, and so do the archive and the records. Senders must not be able to take the last: what is taken in
//! could not be written any more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that connections leave to others: those that are followed, up to 800, and those of the archive and the records.
const OTHERS: usize = 1536;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    pub(crate) http: usize,
    pub(crate) syslog: usize,
}

/// Raises the limit of open files to what the system allows, and returns it.
pub(crate) fn raise() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Where it cannot be raised it stays.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// Shares out so many files.
pub(crate) fn shares(limit: usize) -> Shares {
    let free = limit.saturating_sub(OTHERS).max(limit / 2);
    Shares {
        http: (free / 4 * 3).clamp(1, crate::server::CONNECTIONS_MAX),
        syslog: (free / 4).clamp(1, crate::syslog::CONNECTIONS_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_never_take_all() {
        for limit in [1, 16, 1024, 2000, 20_000, 1 << 20, usize::MAX] {
            let Shares { http, syslog } = shares(limit);
            assert!(http >= 1 && syslog >= 1);
            assert!(limit < 16 || http + syslog <= limit - OTHERS.min(limit / 2), "{limit}");
        }
        assert_eq!(shares(1024), Shares { http: 384, syslog: 128 });
        assert_eq!(shares(1 << 20), Shares { http: 16_384, syslog: 4096 });
    }
}
