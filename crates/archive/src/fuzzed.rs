//! What fuzz targets read: bytes as a pack, and bytes as a file of the index whose checksums are not looked at.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use cresset_event::{EventBuilder, FieldNames};

use crate::columns::columns;
use crate::index::{IndexBuilder, IndexFile, Wanted, merge};
use crate::pack::Pack;
use crate::rows::{Rows, Sources};
use crate::scan::Sifted;
use crate::segment::{add_observables, parquet_of};

/// Reads bytes as a pack, and makes of it all that is made of one.
pub fn read_pack(bytes: &[u8]) {
    let Some(pack) = Pack::parse(Bytes::copy_from_slice(bytes)) else { return };
    let mut keeps = false;
    let half = pack.filtered(|_| {
        keeps = !keeps;
        keeps
    });
    assert_eq!(half.map(|half| half.len()), Some(pack.len().div_ceil(2)));
    let Some(events) = pack.events().map(|event| event.origin()).collect::<Option<Vec<_>>>() else { return };
    let mut index = IndexBuilder::new();
    if events.iter().all(|event| add_observables(&mut index, event).is_some()) {
        let file = IndexFile::open("fuzz", Arc::new(Bytes::from(index.finish()))).expect("an index");
        assert!(file.verify().is_empty());
    }
    let Some(batch) = columns(&events) else { return };
    parquet_of(&batch);
    let mut fields = HashSet::new();
    for event in &events {
        let _ = event.visit_fields(|field| fields.extend([field.name.to_owned()]));
    }
    let sifted = Sifted { fields, one_of: None };
    let mut rows = Rows::new(&batch).expect("columns of events");
    let (mut builder, mut sources) = (EventBuilder::new(Arc::new(FieldNames::new())), Sources::default());
    for row in 0..events.len() {
        let shape = rows.shape(row).expect("every event has a shape");
        let is_shape = rows.sift(shape, &sifted, &mut HashSet::new()).is_some();
        let event = rows.event(row, &mut builder, &mut sources);
        assert!(is_shape || event.is_none());
    }
}

/// Reads bytes as a file of the index, looks into it, and merges it with itself.
pub fn read_index(bytes: &[u8]) {
    let open = || IndexFile::open("fuzz", Arc::new(Bytes::copy_from_slice(bytes)));
    let Ok(file) = open() else { return };
    file.verify();
    let keys: Vec<Vec<u8>> = file.iter().filter_map(|entry| entry.ok()).map(|(key, _)| key).take(10).collect();
    let exact = keys.iter().cloned().map(Wanted::Exact);
    let all = Wanted::Range { first: Vec::new(), end_exclusive: vec![u8::MAX; 3] };
    let _ = file.look_up(&exact.chain([all]).collect::<Vec<_>>(), |_, _, _| {});
    if let Ok(other) = open() {
        let _ = merge(&[file, other], Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use cresset_event::{LogSource, ObservableKind, Origin, RawObservable, Value};
    use proptest::prelude::*;

    use super::*;
    use crate::index::{Seen, push_key};
    use crate::pack::{Keep, Packer};

    /// Returns a pack of events with values of every kind.
    fn pack() -> Vec<u8> {
        let names = Arc::new(FieldNames::new());
        let mut packer = Packer::new(Keep::Raw);
        for number in 0..3 {
            let mut builder = EventBuilder::new(Arc::clone(&names));
            builder.set_raw("10.0.0.1 web");
            let id = names.intern("src_ip").expect("room");
            builder.push_raw(id, 0..8);
            builder.alias(id, names.intern("address").expect("room"));
            let values = [Value::Int(-number), Value::Float(0.5), Value::Bool(true), Value::Null, Value::Empty];
            for (value, name) in values.into_iter().zip(["i", "f", "b", "n", "e"]) {
                builder.push(name, value);
            }
            builder.push("host", Value::Str("web1"));
            let log_source = LogSource { product: Some("p".into()), service: None, categories: vec!["c".into()] };
            packer.add(&builder.finish(Origin { log_source: Arc::new(log_source), ..Origin::default() }));
        }
        packer.take().bytes().to_vec()
    }

    fn index() -> Vec<u8> {
        let mut builder = IndexBuilder::new();
        for number in 0..20_u8 {
            let mut key = Vec::new();
            let address = Some([10, 0, 0, number].into());
            push_key(&RawObservable { kind: ObservableKind::Ipv4, text: "", address, field: None }, &mut key);
            let id = cresset_event::EventId::from_bytes([number; 16]);
            builder.add(&key, Seen { id, time: None, field: "f", host: Some("h"), source: "s" });
        }
        builder.finish()
    }

    /// Bytes that are put in the place of others.
    fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
        prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![0_u8..12, any::<u8>()]), 0..4)
    }

    fn changed(mut bytes: Vec<u8>, changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
        changes.iter().for_each(|(place, byte)| *place.get_mut(&mut bytes) = *byte);
        bytes
    }

    proptest! {
        #[test]
        fn a_pack_that_was_changed_is_read_as_far_as_it_is_one(changes in changes()) {
            read_pack(&changed(pack(), &changes));
        }

        #[test]
        fn an_index_that_was_changed_is_read_as_far_as_it_is_one(changes in changes()) {
            read_index(&changed(index(), &changes));
        }
    }
}
