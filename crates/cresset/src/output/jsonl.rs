//! One JSON object a line for each detection (`docs/detection.schema.json`).

use std::io::{self, Write};

use cresset_detect::{Detection, DetectionRecord};

use super::{Closing, Output};
use crate::escape;

/// Writes detections as they come.
pub(crate) struct JsonlOutput<'o> {
    out: &'o mut dyn Write,
}

impl<'o> JsonlOutput<'o> {
    pub(crate) fn new(out: &'o mut dyn Write) -> Self {
        Self { out }
    }
}

impl Output for JsonlOutput<'_> {
    fn detection(&mut self, detection: &Detection) -> io::Result<()> {
        let line = serde_json::to_string(&DetectionRecord::new(detection))?;
        writeln!(self.out, "{}", escape::json(&line))
    }

    fn finish(self: Box<Self>, closing: &Closing<'_>) -> io::Result<()> {
        self.out.flush()?;
        closing.write_short(&mut io::stderr())
    }
}
