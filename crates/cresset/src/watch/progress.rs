//! The progress bar: on standard error, and only on a terminal.

use std::io;

use cresset_pipeline::Progress;
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::escape;
use crate::watch::is_watched;

/// A bar with the time left where the size is known, else a counter.
#[derive(Clone)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new(total_bytes: Option<u64>) -> Self {
        if !is_watched() {
            return Self(ProgressBar::hidden());
        }
        let bar = match total_bytes {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let template = match total_bytes {
            Some(_) => "{bar:30} {percent:>3} %  {bytes_per_sec}  {eta} left  {msg}",
            None => "{spinner} {bytes}  {bytes_per_sec}  {msg}",
        };
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    pub(crate) fn set(&self, progress: &Progress<'_>) {
        if self.0.is_hidden() {
            return;
        }
        self.0.set_position(progress.bytes);
        let source = escape::terminal(progress.source);
        self.0.set_message(format!("{} events  {source}", HumanCount(progress.events)));
    }

    /// Shows how far something is that reads so many bytes in all.
    pub(crate) fn set_bytes(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.set_position(done);
    }

    /// Shows how many bytes were read.
    pub(crate) fn set_position(&self, done: u64) {
        self.0.set_position(done);
    }

    /// Writes something without the bar in its way.
    pub(crate) fn suspend(&self, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.0.suspend(write)
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
