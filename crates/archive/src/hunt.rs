//! Hunting for values: what of all that was ever seen an indicator looks for.
//!
//! Each file of the index is asked once for all values; what is in the write-ahead log still is indexed on the spot. A count
//! is of pairs of an event and a value: an event with two domains below the one that is looked for counts twice.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::{iter, thread};

use bytes::Bytes;
use cresset_event::{EventId, Matcher, Timestamp};

use crate::archive::{Archive, widen};
use crate::error::ArchiveError;
use crate::index::{Example, IndexBuilder, IndexFile, NameList, Names, Sighting, Wanted, show_key};
use crate::manifest::IndexEntry;
use crate::pack::Pack;
use crate::segment::add_observables;
use crate::table::Table;

/// Most events and values that are told as examples of what was seen.
const EXAMPLES_MAX: usize = 3;
const VALUES_MAX: usize = 10;
/// Values that are worth a thread of their own.
const VALUES_A_THREAD: usize = 32;
/// Counts of a value that are kept before those of a name are put together.
const COUNTS_MAX: usize = 1 << 16;

/// What was seen of one thing that was looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// How often: in how many events, each of its values counted.
    pub count: u64,
    /// First and last time, of events whose time is known.
    pub times: Option<(Timestamp, Timestamp)>,
    /// On which hosts, and how often, the most frequent first; events that name none are not among them.
    pub hosts: Vec<(Arc<str>, u64)>,
    /// In which sources, and how often, in the same way.
    pub sources: Vec<(Arc<str>, u64)>,
    /// Values that were seen, and how often: more than one where a range or a domain is looked for. The first of them, where there
    /// are many.
    pub values: BTreeMap<String, u64>,
    /// Some of the events: early ones and the last.
    pub examples: Vec<SeenExample>,
}

/// An event that has a value that was looked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeenExample {
    /// When, where that is known.
    pub time: Option<Timestamp>,
    /// Its id.
    pub id: EventId,
    /// The field that has the value; empty where the table of names was full.
    pub field: String,
    /// The value in normal form.
    pub value: String,
}

/// What a hunt came to.
#[derive(Debug, Default)]
pub struct Hunted {
    /// For each matcher what was seen, where anything was.
    pub seen: Vec<Option<Seen>>,
    /// Files that could not be read: what only they know is missing.
    pub damaged: Vec<ArchiveError>,
}

impl Archive {
    /// Looks for values in all that was ever seen, on all cores where they are many.
    pub fn hunt(&self, matchers: &[Matcher]) -> Hunted {
        let mut damaged: Vec<ArchiveError> = self.damages().iter().map(Into::into).collect();
        let files = self.index_files().filter_map(|file| file.map_err(|error| damaged.push(error)).ok());
        let files: Vec<IndexFile> = files.collect();
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.min(matchers.len() / VALUES_A_THREAD).max(1);
        // Hot values lie side by side in lists: neighbours go to different threads.
        let part = |first: usize| look(&files, matchers.iter().skip(first).step_by(threads).map(Wanted::of).collect());
        let parts = thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|first| scope.spawn(move || part(first))).collect();
            let joined = others.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
            iter::once(part(0)).chain(joined).collect::<Vec<_>>()
        });
        let mut seen = Vec::with_capacity(parts.len());
        for part in parts {
            seen.push(part.seen.into_iter());
            damaged.extend(part.damaged);
        }
        damaged.sort_by_cached_key(ArchiveError::with_causes);
        damaged.dedup_by_key(|error| error.with_causes());
        let seen = (0..matchers.len()).map(|at| seen[at % threads].next().flatten()).collect();
        Hunted { seen, damaged }
    }

    /// Opens the files of the index, and one of what is in the write-ahead log.
    pub(crate) fn index_files(&self) -> impl Iterator<Item = Result<IndexFile, ArchiveError>> {
        let file = |entry: &IndexEntry| Arc::new(self.storage.file(&entry.file, entry.bytes));
        let files = self.manifest.index.iter().map(move |entry| IndexFile::open(&entry.file, file(entry)));
        files.chain(self.log_index())
    }

    /// Indexes what is in the write-ahead log.
    fn log_index(&self) -> Option<Result<IndexFile, ArchiveError>> {
        if self.log.packs.is_empty() {
            return None;
        }
        let mut builder = IndexBuilder::new();
        let events = self.log.packs.iter().flat_map(Pack::events);
        let added = events.map(|event| event.origin()).try_for_each(|event| add_observables(&mut builder, &event?));
        Some(match added {
            Some(()) => IndexFile::open("wal", Arc::new(Bytes::from(builder.finish()))),
            None => Err(ArchiveError::damaged("wal", "an event is not as it was packed")),
        })
    }
}

/// Looks for values in some files of the index.
fn look(files: &[IndexFile], wanted: Vec<Wanted>) -> Hunted {
    let (mut seen, mut damaged) = (vec![None; wanted.len()], Vec::new());
    let (mut hosts, mut sources) = (Table::default(), Table::default());
    for file in files {
        damaged.extend(look_into(file, &wanted, &mut hosts, &mut sources, &mut seen).err());
    }
    let (mut hosts, mut sources) = (Adder::new(hosts.values()), Adder::new(sources.values()));
    let mut finish = |Sum { seen, hosts: of_hosts, sources: of_sources }: Sum| Seen {
        hosts: hosts.sum(&of_hosts),
        sources: sources.sum(&of_sources),
        ..seen
    };
    Hunted { seen: seen.into_iter().map(|sum| sum.map(&mut finish)).collect(), damaged }
}

/// What was seen, with the numbers of hosts and sources; by number, for names are long and many.
#[derive(Debug, Clone, Default)]
struct Sum {
    seen: Seen,
    /// A number comes once for each file.
    hosts: Vec<(u32, u64)>,
    sources: Vec<(u32, u64)>,
}

fn look_into(
    file: &IndexFile,
    wanted: &[Wanted],
    hosts: &mut Table<Arc<str>>,
    sources: &mut Table<Arc<str>>,
    sums: &mut [Option<Sum>],
) -> Result<(), ArchiveError> {
    let mut names: Option<FileNames> = None;
    let mut failed = None;
    file.look_up(wanted, |at, key, sighting| {
        // Most files have none of what is looked for.
        let mut known = match names.take().map_or_else(|| FileNames::load(file), Ok) {
            Ok(known) => known,
            Err(error) => {
                failed.get_or_insert(error);
                return;
            }
        };
        let sum = sums[at].get_or_insert_default();
        let FileNames { names: its, host_numbers, source_numbers } = &mut known;
        add_counts(&mut sum.hosts, &sighting.hosts, &its.hosts, host_numbers, hosts);
        add_counts(&mut sum.sources, &sighting.sources, &its.sources, source_numbers, sources);
        sum.seen.add(key, &sighting, &known.names);
        names = Some(known);
    })?;
    failed.map_or(Ok(()), Err)
}

/// The names of a file, and their numbers among those of all files, as far as they were needed.
struct FileNames {
    names: Arc<Names>,
    host_numbers: Vec<Option<u32>>,
    source_numbers: Vec<Option<u32>>,
}

impl FileNames {
    fn load(file: &IndexFile) -> Result<Self, ArchiveError> {
        let names = file.names()?;
        let (host_numbers, source_numbers) = (vec![None; names.hosts.len()], vec![None; names.sources.len()]);
        Ok(Self { names, host_numbers, source_numbers })
    }
}

/// Adds the counts of a file, and puts those of a name together when there are many: a range may have a million values.
fn add_counts(
    counts: &mut Vec<(u32, u64)>,
    its_counts: &[(u32, u64)],
    its_names: &NameList,
    numbers: &mut [Option<u32>],
    all: &mut Table<Arc<str>>,
) {
    counts.reserve(its_counts.len());
    counts.extend(its_counts.iter().filter_map(|(its_number, count)| {
        let number = numbers.get_mut(*its_number as usize)?;
        let name = || its_names.text(*its_number).map(|name| all.number(name, || name.into()));
        Some((number.or_else(name).inspect(|known| *number = Some(*known))?, *count))
    }));
    if counts.len() >= COUNTS_MAX.max(2 * numbers.len()) {
        counts.sort_unstable();
        counts.dedup_by(|(number, count), (kept, sum)| {
            let is_same = number == kept;
            if is_same {
                *sum += *count;
            }
            is_same
        });
    }
}

/// Adds up counts by name. The names come to thousands, and so do those of each value that is common.
struct Adder<'s> {
    names: &'s [Arc<str>],
    /// By number: the name's place in their order, and by that place the number.
    ranks: Vec<u32>,
    ranked: Vec<u32>,
    /// By number: the count at hand; nothing but zeros between two sums.
    counts: Vec<u64>,
}

impl<'s> Adder<'s> {
    fn new(names: &'s [Arc<str>]) -> Self {
        let mut ranked: Vec<u32> = (0..).take(names.len()).collect();
        ranked.sort_unstable_by_key(|number| &names[*number as usize]);
        let mut ranks = vec![0; names.len()];
        ranked.iter().zip(0..).for_each(|(number, rank)| ranks[*number as usize] = rank);
        Self { names, ranks, ranked, counts: vec![0; names.len()] }
    }

    /// Returns each name once with all of its counts, the most frequent first, and by name where they are alike.
    fn sum(&mut self, parts: &[(u32, u64)]) -> Vec<(Arc<str>, u64)> {
        // The rank in the lower half; in the upper one how far the count is below the highest that there is room for.
        let mut order: Vec<u64> = Vec::with_capacity(parts.len().min(self.names.len()));
        for (number, count) in parts {
            let sum = &mut self.counts[*number as usize];
            if *sum == 0 {
                order.push(self.ranks[*number as usize].into());
            }
            *sum += count;
        }
        for key in &mut order {
            let count = self.counts[self.ranked[*key as usize] as usize].min(u32::MAX.into());
            *key |= (u64::from(u32::MAX) - count) << 32;
        }
        order.sort_unstable();
        let named = |key: u64| {
            let number = self.ranked[key as u32 as usize] as usize;
            (Arc::clone(&self.names[number]), std::mem::take(&mut self.counts[number]))
        };
        order.into_iter().map(named).collect()
    }
}

impl Seen {
    fn add(&mut self, key: &[u8], sighting: &Sighting, names: &Names) {
        self.count += sighting.count;
        widen(&mut self.times, sighting.times);
        let value = show_key(key).map(|(_, value)| value).unwrap_or_default();
        self.add_examples(&value, &sighting.examples, names);
        if self.values.len() < VALUES_MAX || self.values.contains_key(&value) {
            *self.values.entry(value).or_default() += sighting.count;
        }
    }

    fn add_examples(&mut self, value: &str, examples: &[Example], names: &Names) {
        self.examples.extend(examples.iter().map(|example| SeenExample {
            time: example.time.map(Timestamp::from_nanos),
            id: example.id,
            field: names.fields.text(example.field).unwrap_or_default().to_owned(),
            value: value.to_owned(),
        }));
        self.examples.sort_by(|one, other| (one.time.is_none(), one).cmp(&(other.time.is_none(), other)));
        if self.examples.len() > EXAMPLES_MAX {
            self.examples.drain(EXAMPLES_MAX - 1..self.examples.len() - 1);
        }
    }
}
