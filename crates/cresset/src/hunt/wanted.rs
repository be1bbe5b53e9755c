//! What is hunted: indicators of feeds and values that were typed, each value once.

use std::collections::HashMap;
use std::io::{self, Write};

use cresset_archive::Seen;
use cresset_detect::WarningList;
use cresset_event::{Indicator, Matcher};
use cresset_pipeline::find_feeds;

use crate::args::HuntArgs;
use crate::escape;
use crate::output::rows::counted;

/// What is hunted.
pub(super) struct Wanted {
    matchers: Vec<Matcher>,
    places: HashMap<Matcher, usize>,
    asked: Vec<Asked>,
    /// Indicators that look for several values of one event.
    joined: Vec<Indicator>,
}

/// An indicator, or a value that was typed, and the place of what it looks for.
pub(super) struct Asked {
    place: usize,
    pub(super) indicator: Option<Indicator>,
}

/// Something that was seen, and who asked for it.
pub(super) struct Found<'h> {
    pub(super) matcher: &'h Matcher,
    pub(super) indicator: Option<&'h Indicator>,
    pub(super) seen: &'h Seen,
}

/// Indicators that are left out, by why.
#[derive(Default)]
struct LeftOut {
    revoked: u64,
    held_back: u64,
}

impl Wanted {
    /// Loads what is hunted, and says what of it is left out; `None` where a feed cannot be read, or none of its entries.
    pub(super) fn load(args: &HuntArgs, err: &mut dyn Write) -> io::Result<Option<Self>> {
        let mut wanted = Self { matchers: Vec::new(), places: HashMap::new(), asked: Vec::new(), joined: Vec::new() };
        let warnings = (!args.no_warning_list).then(WarningList::built_in);
        let mut left_out = LeftOut::default();
        for source in find_feeds(&args.indicators) {
            let mut taken = Vec::new();
            let feed = source.read(|one| {
                if one.replaces.is_none() {
                    taken.push(one.indicator);
                }
            });
            if feed.refused_count() > 0 {
                let (file, count) = (escape::terminal(&feed.file), counted(feed.refused_count() as u64, "entry"));
                let reason = feed.refused.first().map_or("", |refused| &refused.reason);
                writeln!(err, "indicators refused: {file}: {count}, the first: {}", escape::terminal(reason))?;
                if feed.indicators == 0 {
                    return Ok(None);
                }
            }
            for indicator in taken {
                match &indicator {
                    Indicator { validity, .. } if validity.revoked => left_out.revoked += 1,
                    Indicator { matcher, .. }
                        if warnings.as_ref().is_some_and(|list| list.reason(matcher).is_some()) =>
                    {
                        left_out.held_back += 1;
                    }
                    Indicator { also, .. } if !also.is_empty() => wanted.joined.push(indicator),
                    _ => wanted.add(indicator.matcher.clone(), Some(indicator)),
                }
            }
        }
        args.value.iter().for_each(|matcher| wanted.add(matcher.clone(), None));
        left_out.tell(err)?;
        Ok(Some(wanted))
    }

    fn add(&mut self, matcher: Matcher, indicator: Option<Indicator>) {
        let Self { matchers, places, asked, .. } = self;
        let place = *places.entry(matcher.clone()).or_insert_with(|| {
            matchers.push(matcher);
            matchers.len() - 1
        });
        asked.push(Asked { place, indicator });
    }

    /// Returns what is looked for, each value once.
    pub(super) fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    /// Returns the indicators that look for several values of one event.
    pub(super) fn joined(&self) -> &[Indicator] {
        &self.joined
    }

    /// Returns how many were asked for.
    pub(super) fn count(&self) -> usize {
        self.asked.len() + self.joined.len()
    }

    /// Returns those that were seen, by what was seen of each value, and of each that joins several; the last seen first.
    pub(super) fn seen<'h>(&'h self, seen: &'h [Option<Seen>], joined: &'h [Option<Seen>]) -> Vec<Found<'h>> {
        let found = self.asked.iter().filter_map(|asked| {
            let (matcher, seen) = (&self.matchers[asked.place], seen[asked.place].as_ref()?);
            Some(Found { matcher, indicator: asked.indicator.as_ref(), seen })
        });
        let joined = self.joined.iter().zip(joined).filter_map(|(indicator, seen)| {
            Some(Found { matcher: &indicator.matcher, indicator: Some(indicator), seen: seen.as_ref()? })
        });
        let mut found: Vec<Found<'h>> = found.chain(joined).collect();
        found.sort_by_key(|found| std::cmp::Reverse(found.seen.times.map(|(_, last)| last)));
        found
    }
}

impl Found<'_> {
    /// Returns what was looked for: values that one event must have are joined by `AND`, as in a STIX pattern.
    pub(super) fn text(&self) -> String {
        let also = self.indicator.map_or(&[][..], |indicator| &indicator.also);
        std::iter::once(self.matcher).chain(also).map(Matcher::to_string).collect::<Vec<_>>().join(" AND ")
    }
}

impl LeftOut {
    fn tell(&self, err: &mut dyn Write) -> io::Result<()> {
        let reasons = [
            (self.revoked, "were taken back by who made them"),
            (self.held_back, "are on the warning list; --no-warning-list hunts them too"),
        ];
        for (count, reason) in reasons {
            if count > 0 {
                writeln!(err, "indicators left out: {count} {reason}")?;
            }
        }
        Ok(())
    }
}
