//! Detections for people as they come, one below the other: what a watch shows that follows its logs.

use std::io::{self, Write};

use cresset_detect::Detection;

use super::table::{about, write_example, write_heading};
use super::{Closing, Output, Style};

/// Shows each detection at once.
pub(crate) struct LiveOutput<'o> {
    out: &'o mut dyn Write,
    style: Style,
}

impl<'o> LiveOutput<'o> {
    pub(crate) fn new(out: &'o mut dyn Write, style: Style) -> Self {
        Self { out, style }
    }
}

impl Output for LiveOutput<'_> {
    fn detection(&mut self, detection: &Detection) -> io::Result<()> {
        let about = about(Some(detection.kind()), detection.techniques(), detection.tactics());
        write_heading(self.out, self.style, detection.level(), &detection.title(), 1, &about)?;
        write_example(self.out, self.style, detection)?;
        writeln!(self.out)?;
        self.out.flush()
    }

    fn finish(self: Box<Self>, closing: &Closing<'_>) -> io::Result<()> {
        closing.write(self.style, self.out)
    }
}
