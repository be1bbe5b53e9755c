//! Files one behind the other, each with its name and length in front, and at the end how many there were.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::path::{Component, Path};

use super::BackupError;

/// What stands in front of a file, and at the end.
const FILE: u8 = 1;
const END: u8 = 0;
/// Longest name of a file, from the folder of the centre.
const NAME_BYTES_MAX: usize = 1024;
/// Most files: those of an archive are thousands, and evidence is added by hand.
const FILES_MAX: u64 = 10_000_000;

/// Writes files.
pub(super) struct Entries<W> {
    out: W,
    files: u64,
}

impl<W: Write> Entries<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, files: 0 }
    }

    /// Writes a file of so many bytes; what the file has beyond is left out, and one that is shorter is an error.
    pub(super) fn add(&mut self, name: &str, bytes: u64, from: &mut impl Read) -> Result<(), BackupError> {
        check_name(name)?;
        self.out.write_all(&[FILE])?;
        self.out.write_all(&(name.len() as u16).to_le_bytes())?;
        self.out.write_all(name.as_bytes())?;
        self.out.write_all(&bytes.to_le_bytes())?;
        if io::copy(&mut from.take(bytes), &mut self.out)? < bytes {
            return Err(BackupError::Moving { path: name.into() });
        }
        self.files += 1;
        Ok(())
    }

    /// Writes the end.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[END])?;
        self.out.write_all(&self.files.to_le_bytes())?;
        Ok(self.out)
    }
}

/// Reads all files: `take` gets the name of each, its length and its bytes. Returns how many there were.
pub(super) fn read_all(
    mut from: impl Read,
    mut take: impl FnMut(&str, u64, &mut dyn Read) -> Result<(), BackupError>,
) -> Result<u64, BackupError> {
    let mut names = HashSet::new();
    while read_array::<1>(&mut from)? == [FILE] {
        let mut name = vec![0; usize::from(u16::from_le_bytes(read_array(&mut from)?))];
        from.read_exact(&mut name)?;
        let name = String::from_utf8(name).map_err(|_| BackupError::Content("a name that is not UTF-8".into()))?;
        check_name(&name)?;
        let bytes = u64::from_le_bytes(read_array(&mut from)?);
        let mut content = (&mut from).take(bytes);
        take(&name, bytes, &mut content)?;
        if content.limit() > 0 {
            return Err(BackupError::CutOff);
        }
        if names.len() as u64 >= FILES_MAX || !names.insert(name) {
            return Err(BackupError::Content("a file twice, or too many of them".into()));
        }
    }
    let files = u64::from_le_bytes(read_array(&mut from)?);
    // The last chunk is opened by reading to the very end.
    if files != names.len() as u64 || from.read(&mut [0])? > 0 {
        return Err(BackupError::Content("another number of files than there are".into()));
    }
    Ok(files)
}

fn read_array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Refuses names that lead out of the folder.
fn check_name(name: &str) -> Result<(), BackupError> {
    let is_plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !is_plain || name.contains(['\\', '\0']) {
        return Err(BackupError::Content(format!("a file called `{}`", name.escape_debug())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, BackupError> {
        let mut files = Vec::new();
        read_all(bytes, |name, _, content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            files.push((name.to_owned(), bytes));
            Ok(())
        })?;
        Ok(files)
    }

    #[test]
    fn files_are_what_they_were() {
        let mut entries = Entries::new(Vec::new());
        entries.add("a/b", 3, &mut &b"one and more"[..]).expect("room");
        entries.add("c", 0, &mut &b""[..]).expect("room");
        assert!(matches!(entries.add("d", 9, &mut &b"short"[..]), Err(BackupError::Moving { .. })));
        let mut entries = Entries::new(Vec::new());
        entries.add("a/b", 3, &mut &b"one"[..]).expect("room");
        let bytes = entries.finish().expect("room");
        assert_eq!(read(&bytes).expect("files"), [("a/b".to_owned(), b"one".to_vec())]);
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for name in ["", "/etc/passwd", "../a", "a/../../b", "./a", "a\\b", &"n".repeat(2000)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
