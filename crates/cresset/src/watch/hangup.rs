//! SIGHUP: how a service is told to look at its files again. Only `--reload` listens; else the signal ends the process.

#[cfg(unix)]
pub(super) use self::unix::Hangups;

#[cfg(unix)]
mod unix {
    use std::io::{self, Read};
    use std::os::unix::net::UnixStream;
    use std::thread;

    use signal_hook::consts::SIGHUP;
    use signal_hook::low_level::pipe;

    /// The signals that come: a byte each.
    pub(in crate::watch) struct Hangups(UnixStream);

    impl Hangups {
        /// Listens from now on: the signal does not end the process any more.
        pub(in crate::watch) fn listen() -> io::Result<Self> {
            let (heard, told) = UnixStream::pair()?;
            pipe::register(SIGHUP, told)?;
            Ok(Self(heard))
        }

        /// Calls this for each signal, also for those that came before, on a thread of its own.
        pub(in crate::watch) fn each(mut self, call: impl Fn() + Send + 'static) {
            thread::spawn(move || {
                while self.0.read_exact(&mut [0]).is_ok() {
                    call();
                }
            });
        }
    }
}

/// Nothing where there is no such signal.
#[cfg(not(unix))]
pub(super) struct Hangups;

#[cfg(not(unix))]
impl Hangups {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    pub(super) fn each(self, _: impl Fn() + Send + 'static) {}
}
