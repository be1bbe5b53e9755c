//! Colours, where they are wanted.

use std::fmt::Display;

use anstyle::{AnsiColor, Effects};
use cresset_detect::Level;

/// Width of a column of levels.
const LEVEL_WIDTH: usize = Level::Informational.as_str().len();

/// Paints text, or leaves it as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    coloured: bool,
}

impl Style {
    pub(crate) fn new(coloured: bool) -> Self {
        Self { coloured }
    }

    /// Paints a level, in a column as wide as the longest.
    pub(crate) fn level(self, level: Level) -> String {
        let style = match level {
            Level::Critical => AnsiColor::White.on(AnsiColor::Red) | Effects::BOLD,
            _ => ink(level),
        };
        let name = level.as_str();
        format!("{}{:padding$}", self.paint(style, name), "", padding = LEVEL_WIDTH - name.len())
    }

    /// Paints a word, or a part of a bar, in the colour of a level.
    pub(crate) fn as_level(self, level: Level, text: impl Display) -> String {
        self.paint(ink(level), text)
    }

    pub(crate) fn bold(self, text: impl Display) -> String {
        self.paint(anstyle::Style::new().bold(), text)
    }

    pub(crate) fn dim(self, text: impl Display) -> String {
        self.paint(anstyle::Style::new().dimmed(), text)
    }

    /// Paints the value that fitted.
    pub(crate) fn matched(self, text: impl Display) -> String {
        self.paint(AnsiColor::Green.on_default() | Effects::BOLD, text)
    }

    fn paint(self, style: anstyle::Style, text: impl Display) -> String {
        if self.coloured { format!("{style}{text}{style:#}") } else { text.to_string() }
    }
}

/// The colour of a level as ink; as text the worst is set on its own ground as well.
fn ink(level: Level) -> anstyle::Style {
    match level {
        Level::Critical => AnsiColor::Magenta.on_default() | Effects::BOLD,
        Level::High => AnsiColor::Red.on_default() | Effects::BOLD,
        Level::Medium => AnsiColor::Yellow.on_default(),
        Level::Low => AnsiColor::Cyan.on_default(),
        Level::Informational => AnsiColor::BrightBlack.on_default(),
    }
}
