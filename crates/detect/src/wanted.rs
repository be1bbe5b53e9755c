//! The log source that a rule names.

use std::fmt;

use cresset_event::LogSource;

/// What a rule asks of the log source of its events. Lower case; `None`: not named, anything will do.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WantedSource {
    /// The product.
    pub product: Option<String>,
    /// The category.
    pub category: Option<String>,
    /// The service.
    pub service: Option<String>,
}

impl WantedSource {
    pub(crate) fn of(named: &rsigma_parser::LogSource) -> Self {
        let lower = |word: &Option<String>| word.as_deref().map(str::to_ascii_lowercase);
        Self { product: lower(&named.product), category: lower(&named.category), service: lower(&named.service) }
    }

    /// Returns whether events of a log source are what is wanted.
    pub fn fits(&self, source: &LogSource) -> bool {
        source.fits(self.product.as_deref(), self.category.as_deref(), self.service.as_deref())
    }
}

/// `windows/process_creation`, or `any`.
impl fmt::Display for WantedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [&self.product, &self.category, &self.service].into_iter().flatten();
        let words: Vec<&str> = words.map(String::as_str).collect();
        if words.is_empty() { f.write_str("any") } else { f.write_str(&words.join("/")) }
    }
}
