//! A picture as bytes: one that is read back goes on as the one that was written would have.
//!
//! A line `cresset-picture VERSION SHA-256`, the digest being that of all that follows; then names, causes, detections, incidents
//! and what follows closed ones, in the wire format of postcard. What can be worked out from those is not written: what is indexed
//! by what, and which name is an asset of ours. `tests/it/saved.rs` and `tests/it/properties.rs` hold that nothing is lost.

use std::cmp::Reverse;

use cresset_detect::{DetectionId, Level};
use cresset_event::{Timestamp, hex};
use sha2::{Digest as _, Sha256};

use crate::assets::Assets;
use crate::cases::Cases;
use crate::member::{Cause, Causes, Member};
use crate::names::{Name, Names};
use crate::picture::{Follows, Picture};

/// How a saved picture begins.
const MAGIC: &str = "cresset-picture";
/// The version of the form, and of what makes detections one incident: it goes up with a change of either, and a picture of another
/// version is built anew from the records.
const VERSION: &str = "1";

/// Why a saved picture cannot be read. The picture is built anew from its records then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SavedError {
    /// It is of another version.
    #[error("it is no saved picture of this version")]
    Version,
    /// Its bytes are not those that were written.
    #[error("its bytes are not those that were written")]
    Damaged,
}

impl Picture {
    /// Returns the picture as bytes: some hundred for each detection that is not forgotten.
    pub fn save(&self) -> Vec<u8> {
        let (names, causes): (&[Name], Vec<&Cause>) = (self.names.all(), self.causes.all().collect());
        let parts = (names, causes, &self.members, &self.cases, &self.follows);
        let body = postcard::to_stdvec(&parts).expect("memory takes all, and all can be written");
        let mut saved = format!("{MAGIC} {VERSION} {}\n", hex(&Sha256::digest(&body))).into_bytes();
        saved.extend(body);
        saved
    }

    /// Returns the picture that was saved, with the assets that are in force now.
    pub fn of_saved(saved: &[u8], assets: Assets) -> Result<Self, SavedError> {
        let line = saved.iter().position(|byte| *byte == b'\n').ok_or(SavedError::Version)?;
        let (line, body) = (&saved[..line], &saved[line + 1..]);
        let digest = line.strip_prefix(format!("{MAGIC} {VERSION} ").as_bytes()).ok_or(SavedError::Version)?;
        if digest != hex(&Sha256::digest(body)).as_bytes() {
            return Err(SavedError::Damaged);
        }
        let (names, causes, members, cases, follows): (Vec<Name>, Vec<Cause>, Vec<Member>, Cases, Follows) =
            postcard::from_bytes(body).map_err(|_| SavedError::Damaged)?;
        let mut picture = Self::new(Assets::new());
        picture.names = Names::of(names);
        picture.causes = Causes::of(causes);
        picture.members = members;
        picture.cases = cases.numbered();
        picture.follows = follows;
        picture.number_members();
        picture.index_members();
        picture.set_assets(assets);
        Ok(picture)
    }
}

/// What is written as the number that it is: a picture has millions of ids and times. For `#[serde(with = "packed")]`.
pub(crate) mod packed {
    use serde::de::{DeserializeOwned, Deserializer, Error};
    use serde::ser::Serializer;
    use serde::{Deserialize, Serialize};

    pub(crate) trait Packed: Sized {
        type As: Serialize + DeserializeOwned;

        fn pack(&self) -> Self::As;
        fn unpack(packed: Self::As) -> Option<Self>;
    }

    pub(crate) fn serialize<T: Packed, S: Serializer>(it: &T, serializer: S) -> Result<S::Ok, S::Error> {
        it.pack().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T: Packed, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        T::unpack(T::As::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("no such value"))
    }
}

impl packed::Packed for DetectionId {
    type As = [u8; 16];

    fn pack(&self) -> [u8; 16] {
        *self.as_bytes()
    }

    fn unpack(packed: [u8; 16]) -> Option<Self> {
        Some(Self::from_bytes(packed))
    }
}

impl packed::Packed for Timestamp {
    type As = i64;

    fn pack(&self) -> i64 {
        self.as_nanos()
    }

    fn unpack(packed: i64) -> Option<Self> {
        Some(Self::from_nanos(packed))
    }
}

impl packed::Packed for Level {
    type As = usize;

    fn pack(&self) -> usize {
        Self::ALL.iter().position(|level| level == self).expect("all levels are listed")
    }

    fn unpack(packed: usize) -> Option<Self> {
        Self::ALL.get(packed).copied()
    }
}

impl packed::Packed for Reverse<Level> {
    type As = usize;

    fn pack(&self) -> usize {
        self.0.pack()
    }

    fn unpack(packed: usize) -> Option<Self> {
        Level::unpack(packed).map(Reverse)
    }
}
