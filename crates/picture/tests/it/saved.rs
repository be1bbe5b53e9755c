//! Pictures that are written and read back; that they go on as they were is in `properties.rs`.

use cresset_event::hex;
use cresset_picture::{Assets, Picture, SavedError, State, Verdict};
use sha2::{Digest as _, Sha256};

use crate::{found, holder, id, picture_of, shown};

/// A picture with something of everything that is written.
fn all_kinds() -> Picture {
    let mut picture = picture_of(&[
        found(
            1,
            0,
            r"critical host=A.corp user=CORP\x process=C:\p.exe ip=203.0.113.1 tactic=Execution technique=T1059",
        ),
        found(2, 5, "host=a.corp user=X domain=evil.example title=Other"),
        found(3, 500, "low host=B ip=10.0.0.1"),
        found(4, 501, "low host=C"),
        found(5, 510, "host=D"),
        found(6, 2000, "host=E"),
    ]);
    let [one, two, three, closed] = [1, 3, 4, 5].map(|number| holder(&picture, number));
    picture.split(one, &[id(2)]).expect("a part");
    picture.merge(two, three).expect("two");
    picture.set_state(closed, State::Closed(Verdict::FalsePositive)).expect("a step");
    picture.add(&found(7, 512, "host=D"));
    picture
}

#[test]
fn what_was_saved_is_read_back() {
    let picture = all_kinds();
    let again = Picture::of_saved(&picture.save(), Assets::new()).expect("it was just saved");
    assert_eq!(shown(&again), shown(&picture));
    assert_eq!(again.save(), picture.save());
    let none = Picture::of_saved(&Picture::new(Assets::new()).save(), Assets::new()).expect("it was just saved");
    assert_eq!(shown(&none), []);
}

#[test]
fn assets_are_those_that_are_in_force_now() {
    let mut picture = all_kinds();
    let saved = picture.save();
    let assets = || Assets::from_csv("name,addresses,value\nA,,vital\nnet,10.0.0.0/8,high\n").expect("a list");
    assert!(!picture.set_assets(assets()).is_empty());
    let again = Picture::of_saved(&saved, assets()).expect("it was saved");
    assert_eq!(shown(&again), shown(&picture));
}

#[test]
fn bytes_that_are_not_those_that_were_written_are_refused() {
    let saved = all_kinds().save();
    for at in 0..saved.len() {
        let mut damaged = saved.clone();
        damaged[at] ^= 1;
        assert!(Picture::of_saved(&damaged, Assets::new()).is_err(), "byte {at}");
        assert!(Picture::of_saved(&saved[..at], Assets::new()).is_err(), "{at} bytes");
    }
    assert_eq!(Picture::of_saved(b"", Assets::new()).err(), Some(SavedError::Version));
    assert_eq!(Picture::of_saved(b"cresset-picture 0 00\n", Assets::new()).err(), Some(SavedError::Version));
    assert_eq!(Picture::of_saved(b"cresset-picture 1 00\n", Assets::new()).err(), Some(SavedError::Damaged));
}

/// Whoever changes how pictures are written, or what makes detections one incident, makes `VERSION` another and puts the new
/// digest here: a picture that was saved before would not be what its records come to.
#[test]
fn a_version_means_the_same_bytes() {
    let saved = all_kinds().save();
    assert!(saved.starts_with(b"cresset-picture 1 "));
    assert_eq!(hex(&Sha256::digest(&saved)), "ddbc61c5f40c2026360944d678c9186e36c77bade5cffbb3642e48813a85ca19");
}
