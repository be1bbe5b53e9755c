//! The records of a set and the tables over them, as one thread sees them at a time.

use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use cresset_event::{
    Event, Indicator, IndicatorId, IndicatorIdForm as Id, Network, ObservableKind, ObservableKinds, RawObservable,
    Timestamp, push_observed,
};
use foldhash::quality::RandomState;

use crate::indicators::arena::{Arena, Place};
use crate::indicators::batch::{Batch, Hashes};
use crate::indicators::key::{BINARY_BYTES_MAX, Code, Key, parse_hex, push_network};
use crate::indicators::places::Places;
use crate::indicators::record::{self, Name, Profile, Record, Standing};
use crate::indicators::shared::Shared;

/// How many small tables make a large one: of ten million places each then has 3,500 to 4,900. The numbers differ so that
/// the two large tables, which double, do so at different times, and one is well filled where the other is half empty.
const VALUE_SHARDS: usize = 2048;
const ID_SHARDS: usize = 2896;
const RANGE_SHARDS: usize = 64;
/// Most names that are kept once for all. Past it a name stands in its record: names that hardly two have alike would
/// take three times as much here.
const NAMES_SHARED_MAX: usize = 1 << 16;

/// The records, and where they are by value and by id.
#[derive(Debug)]
pub(crate) struct Index {
    arena: Arena,
    profiles: Shared<Profile>,
    names: Shared<String>,
    values: Places,
    ranges: Places,
    held_back: Places,
    ids: Places,
    hasher: RandomState,
    counts: Counts,
    batch: Batch,
}

/// How many indicators can fire, and of what.
#[derive(Debug)]
struct Counts {
    all: usize,
    /// By [`ObservableKind::index`].
    kinds: [usize; ObservableKind::ALL.len()],
    wanted: ObservableKinds,
    /// Of ranges, by the length of the prefix.
    prefixes_v4: [usize; 32],
    prefixes_v6: [usize; 128],
}

/// Memory that looking up uses again and again.
#[derive(Debug, Default)]
pub(crate) struct LookUpScratch {
    text: String,
    range: Vec<u8>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            arena: Arena::default(),
            profiles: Shared::default(),
            names: Shared::default(),
            values: Places::new(VALUE_SHARDS),
            ranges: Places::new(RANGE_SHARDS),
            held_back: Places::new(1),
            ids: Places::new(ID_SHARDS),
            hasher: RandomState::default(),
            counts: Counts::default(),
            batch: Batch::default(),
        }
    }
}

impl Index {
    /// Returns how many indicators can fire.
    pub(crate) fn len(&self) -> usize {
        self.counts.all
    }

    /// Returns the kinds of observables that any indicator looks for.
    pub(crate) fn wanted(&self) -> ObservableKinds {
        self.counts.wanted
    }

    /// Adds indicators, each in place of one of the same id and value, and returns for how many there was no room.
    /// What they have in common with others is taken out of them.
    pub(crate) fn add(&mut self, indicators: &mut [(Indicator, Standing)]) -> usize {
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        for (indicator, standing) in indicators {
            let start = batch.bytes.len();
            self.encode(indicator, *standing, &mut batch.bytes);
            let record = Record::read(&batch.bytes[start..]);
            batch.push(start, Hashes { value: self.hash_key(record.key), id: self.hash_id(record.id) });
        }
        self.bring_near(&batch);
        let left_out = batch.iter().filter(|(bytes, hashes)| !self.put(bytes, *hashes)).count();
        self.batch = batch;
        left_out
    }

    /// Returns in how many steps [`Index::lay_out`] goes through all.
    pub(crate) fn lay_out_steps(&self) -> usize {
        self.values.shard_count().max(self.ids.shard_count())
    }

    /// Lays the tables of one step out for so many indicators in all.
    pub(crate) fn lay_out(&mut self, step: usize, indicators: usize) {
        let Self { arena, hasher, values, ids, .. } = self;
        let read = |place| Record::read(arena.bytes(place));
        values.lay_out(step, indicators, |place| hash_key(hasher, read(place).key));
        ids.lay_out(step, indicators, |place| hash_id(hasher, read(place).id));
    }

    /// Asks the tables for what a batch will ask them one by one.
    fn bring_near(&self, batch: &Batch) {
        let met = |hashes: Hashes| self.values.meets(hashes.value) | self.ids.meets(hashes.id);
        // The answer does not matter, and must not be found to be of no use.
        black_box(batch.hashes().filter(|hashes| met(*hashes)).count());
    }

    fn encode(&mut self, indicator: &mut Indicator, standing: Standing, out: &mut Vec<u8>) {
        let profile = Profile {
            author: indicator.author.take(),
            techniques: std::mem::take(&mut indicator.techniques),
            loaded_from: Arc::clone(&indicator.loaded_from),
            revoked: indicator.validity.revoked,
        };
        let profile = self.profiles.hold(profile, usize::MAX).unwrap_or_else(|_| unreachable!("there is no bound"));
        let name = indicator.name.take().filter(|name| *name != indicator.matcher.text());
        let Some(name) = name else { return record::write(indicator, standing, profile, Name::Value, out) };
        match self.names.hold(name, NAMES_SHARED_MAX) {
            Ok(number) => record::write(indicator, standing, profile, Name::Shared(number), out),
            Err(name) => record::write(indicator, standing, profile, Name::Own(&name), out),
        }
    }

    /// Puts a record in; `false` where there is no room for it.
    fn put(&mut self, bytes: &[u8], hashes: Hashes) -> bool {
        let record = Record::read(bytes);
        if let Some(old) = self.find(&record, hashes) {
            return self.replace(old, bytes, hashes);
        }
        let Some(place) = self.arena.store(bytes) else {
            self.release(record.profile, record.name());
            return false;
        };
        self.link(place, &record, hashes);
        self.counts.note(&record, Change::Added);
        true
    }

    /// Puts a newer version in the place of an older one.
    fn replace(&mut self, old: Place, bytes: &[u8], hashes: Hashes) -> bool {
        let before = Record::read(self.arena.bytes(old));
        let (len, profile, name) = (before.byte_len(), before.profile, self.shared_name(&before));
        if len == bytes.len() {
            self.arena.overwrite(old, bytes);
        } else {
            let record = Record::read(bytes);
            let Some(place) = self.arena.store(bytes) else {
                self.release(record.profile, record.name());
                return false;
            };
            self.unlink(old, hashes);
            self.arena.give_back(old, len);
            self.link(place, &record, hashes);
        }
        self.release(profile, name);
        true
    }

    /// Returns where the record of this value and id is. Where many are of this value the id tells faster.
    fn find(&self, record: &Record<'_>, hashes: Hashes) -> Option<Place> {
        let same_value = self.of_value(self.table(record), hashes.value, record.key);
        let candidates = if same_value.len() < 2 { same_value } else { self.smaller(same_value, record.id, hashes.id) };
        candidates.iter().copied().find(|place| self.read(*place).is_same(record))
    }

    fn smaller<'i>(&'i self, same_value: &'i [Place], id: Id<'_>, id_hash: u64) -> &'i [Place] {
        let same_id = self.of_id(id_hash, id);
        if same_id.len() < same_value.len() { same_id } else { same_value }
    }

    fn link(&mut self, place: Place, record: &Record<'_>, hashes: Hashes) {
        let Self { arena, hasher, values, ranges, held_back, ids, .. } = self;
        let read = |place| Record::read(arena.bytes(place));
        let table = match Table::of(record) {
            Table::Values => values,
            Table::Ranges => ranges,
            Table::HeldBack => held_back,
        };
        let is_same_value = |other| read(other).key == record.key;
        table.insert(hashes.value, place, is_same_value, |other| hash_key(hasher, read(other).key));
        let is_same_id = |other| read(other).id == record.id;
        ids.insert(hashes.id, place, is_same_id, |other| hash_id(hasher, read(other).id));
    }

    fn unlink(&mut self, place: Place, hashes: Hashes) {
        let Self { arena, values, ranges, held_back, ids, .. } = self;
        let read = |place| Record::read(arena.bytes(place));
        let record = read(place);
        let table = match Table::of(&record) {
            Table::Values => values,
            Table::Ranges => ranges,
            Table::HeldBack => held_back,
        };
        table.remove(hashes.value, place, |other| read(other).key == record.key);
        ids.remove(hashes.id, place, |other| read(other).id == record.id);
    }

    /// Takes up to `most` indicators of an id out, and returns how many.
    pub(crate) fn remove(&mut self, id: &IndicatorId, most: usize) -> usize {
        let id = id.as_form();
        let places: Vec<Place> = self.of_id(self.hash_id(id), id).iter().copied().take(most).collect();
        places.iter().for_each(|place| self.take_out(*place));
        places.len()
    }

    /// Returns in how many steps [`Index::expire`] goes through all.
    pub(crate) fn expire_steps(&self) -> usize {
        self.ids.shard_count()
    }

    /// Takes out those of one step that are over at a moment, and returns how many.
    pub(crate) fn expire(&mut self, step: usize, now: Timestamp) -> usize {
        let is_over = |place: &Place| self.read(*place).until.is_some_and(|until| until <= now);
        let over: Vec<Place> = self.ids.iter_shard(step).filter(is_over).collect();
        over.iter().for_each(|place| self.take_out(*place));
        over.len()
    }

    fn take_out(&mut self, place: Place) {
        let record = Record::read(self.arena.bytes(place));
        let (len, profile, name) = (record.byte_len(), record.profile, self.shared_name(&record));
        let hashes = Hashes { value: self.hash_key(record.key), id: self.hash_id(record.id) };
        self.counts.note(&record, Change::TakenOut);
        self.unlink(place, hashes);
        self.arena.give_back(place, len);
        self.release(profile, name);
    }

    fn release(&mut self, profile: u32, name: Name<'_>) {
        self.profiles.release(profile);
        if let Name::Shared(number) = name {
            self.names.release(number);
        }
    }

    /// The name of a record as far as others may hold it too.
    fn shared_name(&self, record: &Record<'_>) -> Name<'static> {
        match record.name() {
            Name::Shared(number) => Name::Shared(number),
            Name::Own(_) | Name::Value => Name::Value,
        }
    }

    /// Returns the indicators that the warning list holds back.
    pub(crate) fn held_back(&self) -> impl Iterator<Item = Indicator> {
        self.held_back.iter().map(|place| self.indicator(&self.read(place)))
    }

    /// Passes, for each value that an observable fulfils, the records that look for it to `visit`.
    pub(crate) fn look_up<'i>(
        &'i self,
        observable: &RawObservable<'_>,
        scratch: &mut LookUpScratch,
        mut visit: impl FnMut(&'i [Place]),
    ) {
        match observable.address {
            Some(address) => self.look_up_address(address, scratch, visit),
            None => each_key(observable, &mut scratch.text, |key| self.visit(key, &mut visit)),
        }
    }

    fn look_up_address<'i>(&'i self, address: IpAddr, scratch: &mut LookUpScratch, mut visit: impl FnMut(&'i [Place])) {
        let prefixes: &[usize] = if address.is_ipv4() { &self.counts.prefixes_v4 } else { &self.counts.prefixes_v6 };
        let full = prefixes.len();
        let ranges = (0..full).filter(|bits| prefixes[*bits] > 0);
        for bits in ranges.chain([full]) {
            scratch.range.clear();
            let code = push_network(&Network::of(address, bits as u8), &mut scratch.range);
            self.visit(Key { code, bytes: &scratch.range }, &mut visit);
        }
    }

    fn visit<'i>(&'i self, key: Key<'_>, visit: &mut impl FnMut(&'i [Place])) {
        let table = if key.code.is_range() { &self.ranges } else { &self.values };
        let places = self.of_value(table, self.hash_key(key), key);
        if !places.is_empty() {
            visit(places);
        }
    }

    /// Returns by which observables of an event what else the indicator of a place looks for is there; `None` where a part is
    /// not.
    pub(crate) fn also<'e>(&self, place: Place, event: &'e Event) -> Option<Vec<RawObservable<'e>>> {
        let mut text = String::new();
        let mut first = |key: Key<'_>| {
            let mut found = None;
            event.visit_raw_observables(ObservableKinds::default().with(key.code.kind()), |observable| {
                if found.is_none() && fulfils(&observable, key, &mut text) {
                    found = Some(observable);
                }
            });
            found
        };
        self.read(place).also().map(&mut first).collect()
    }

    /// Returns whether the indicator of a record counts at a moment.
    pub(crate) fn holds_at(&self, place: Place, moment: Timestamp) -> bool {
        let record = self.read(place);
        record.validity(self.profiles.get(record.profile)).holds_at(moment)
    }

    /// Returns the indicator of a place.
    pub(crate) fn indicator_at(&self, place: Place) -> Indicator {
        self.indicator(&self.read(place))
    }

    fn indicator(&self, record: &Record<'_>) -> Indicator {
        record.indicator(self.profiles.get(record.profile), |number| self.names.get(number).clone())
    }

    fn table(&self, record: &Record<'_>) -> &Places {
        match Table::of(record) {
            Table::Values => &self.values,
            Table::Ranges => &self.ranges,
            Table::HeldBack => &self.held_back,
        }
    }

    fn of_value<'i>(&'i self, table: &'i Places, hash: u64, key: Key<'_>) -> &'i [Place] {
        table.get(hash, |place| self.read(place).key == key)
    }

    fn of_id(&self, hash: u64, id: Id<'_>) -> &[Place] {
        self.ids.get(hash, |place| self.read(place).id == id)
    }

    fn read(&self, place: Place) -> Record<'_> {
        Record::read(self.arena.bytes(place))
    }

    fn hash_key(&self, key: Key<'_>) -> u64 {
        hash_key(&self.hasher, key)
    }

    fn hash_id(&self, id: Id<'_>) -> u64 {
        hash_id(&self.hasher, id)
    }
}

/// Passes each value that an observable other than an address fulfils to `visit`; `text` is memory for its normal form.
fn each_key(observable: &RawObservable<'_>, text: &mut String, mut visit: impl FnMut(Key<'_>)) {
    let kind = observable.kind;
    if let ObservableKind::FileHash(algorithm) = kind {
        let mut binary = [0; BINARY_BYTES_MAX];
        if let Some(bytes) = parse_hex(algorithm, observable.text, &mut binary) {
            visit(Key { code: Code::usual(kind), bytes });
        }
        return;
    }
    text.clear();
    if !push_observed(kind, observable.text, text) {
        return;
    }
    let mut visit_text = |text: &str| visit(Key { code: Code::usual(kind), bytes: text.as_bytes() });
    visit_text(text);
    match kind {
        ObservableKind::Domain => {
            text.match_indices('.').for_each(|(dot, _)| visit_text(&text[dot + 1..]));
        }
        ObservableKind::User => {
            if let Some((_, account)) = text.rsplit_once('\\') {
                visit_text(account);
            }
        }
        _ => {}
    }
}

/// Returns whether an observable fulfils a value of its kind.
fn fulfils(observable: &RawObservable<'_>, key: Key<'_>, text: &mut String) -> bool {
    if let Some(address) = observable.address {
        return key.network().contains(address);
    }
    let mut is_met = false;
    each_key(observable, text, |met| is_met |= met == key);
    is_met
}

/// The hashes are keyed by a number that nobody outside knows: values cannot be made to fall on one slot.
fn hash_key(hasher: &RandomState, key: Key<'_>) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write_u8(key.code.0);
    hasher.write(key.bytes);
    hasher.finish()
}

fn hash_id(hasher: &RandomState, id: Id<'_>) -> u64 {
    hasher.hash_one(id)
}

/// The table over values that a record is in.
#[derive(Debug, Clone, Copy)]
enum Table {
    Values,
    Ranges,
    HeldBack,
}

impl Table {
    fn of(record: &Record<'_>) -> Self {
        match record.standing {
            Standing::HeldBack => Self::HeldBack,
            Standing::Fires if record.key.code.is_range() => Self::Ranges,
            Standing::Fires => Self::Values,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Added,
    TakenOut,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            all: 0,
            kinds: [0; ObservableKind::ALL.len()],
            wanted: ObservableKinds::default(),
            prefixes_v4: [0; 32],
            prefixes_v6: [0; 128],
        }
    }
}

impl Counts {
    fn note(&mut self, record: &Record<'_>, change: Change) {
        if record.standing == Standing::HeldBack {
            return;
        }
        let step = |count: &mut usize| match change {
            Change::Added => *count += 1,
            Change::TakenOut => *count -= 1,
        };
        step(&mut self.all);
        let kind = record.key.code.kind();
        let of_kind = &mut self.kinds[kind.index()];
        step(of_kind);
        self.wanted = if *of_kind > 0 { self.wanted.with(kind) } else { self.wanted.without(kind) };
        if record.key.code.is_range() {
            let bits = usize::from(record.key.network().prefix_bits);
            let prefixes: &mut [usize] =
                if kind == ObservableKind::Ipv4 { &mut self.prefixes_v4 } else { &mut self.prefixes_v6 };
            if let Some(of_length) = prefixes.get_mut(bits) {
                step(of_length);
            }
        }
    }
}
