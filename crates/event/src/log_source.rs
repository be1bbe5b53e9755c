//! The log source of an event: which rules are meant for it.
//!
//! A Sigma rule names a product, a category, a service, or some of them; an event has at most one product and service,
//! and may stand in several categories (a Sysmon 13 is a `registry_set` and a `registry_event`). A rule fits when
//! everything that it names is what the event is: an event whose product is unknown is not run against `product: linux`.

/// What an event is, in the words of the Sigma taxonomy. All lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogSource {
    /// The product that wrote it: `windows`, `linux`, `zeek`.
    pub product: Option<String>,
    /// The service or channel: `security`, `sshd`, `dns`.
    pub service: Option<String>,
    /// The kinds of event it is: `process_creation`, `webserver`.
    pub categories: Vec<String>,
}

impl LogSource {
    /// Returns whether a rule for this product, category and service (`None`: not named) is meant for such an event.
    pub fn fits(&self, product: Option<&str>, category: Option<&str>, service: Option<&str>) -> bool {
        let is = |has: &Option<String>, wants: Option<&str>| {
            wants.is_none_or(|wants| has.as_deref().is_some_and(|has| has.eq_ignore_ascii_case(wants)))
        };
        is(&self.product, product)
            && is(&self.service, service)
            && category.is_none_or(|wants| self.categories.iter().any(|has| has.eq_ignore_ascii_case(wants)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_fits_only_when_everything_it_names_is_so() {
        let event = LogSource {
            product: Some("windows".into()),
            service: Some("sysmon".into()),
            categories: vec!["registry_set".into(), "registry_event".into()],
        };
        assert!(event.fits(None, None, None));
        assert!(event.fits(Some("Windows"), Some("registry_event"), None));
        assert!(event.fits(Some("windows"), Some("registry_set"), Some("sysmon")));
        assert!(!event.fits(Some("linux"), None, None));
        assert!(!event.fits(Some("windows"), Some("process_creation"), None));
        assert!(!LogSource::default().fits(Some("linux"), None, None));
        assert!(!LogSource::default().fits(None, None, Some("sshd")));
    }
}
