//! Numbers and texts as they lie in our own files: LEB128 numbers, texts with their length in front.

/// Adds a number: seven bits a byte, the lowest first, the highest bit set where more follow.
pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Adds a number that may be negative, near zero in few bytes.
pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_number(out, ((number << 1) ^ (number >> 63)) as u64);
}

/// Adds bytes with their length in front.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Returns whether bytes have a CRC-32; those that fuzz targets make up all have.
pub(crate) fn has_crc32(bytes: &[u8], crc32: u32) -> bool {
    cfg!(fuzzing) || crc32fast::hash(bytes) == crc32
}

/// Takes numbers and texts from the front of some bytes; `None` where they are not there in full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taker<'b>(&'b [u8]);

impl<'b> Taker<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many bytes are left.
    pub(crate) fn len_left(&self) -> usize {
        self.0.len()
    }

    /// Takes all that is left.
    pub(crate) fn rest(&mut self) -> &'b [u8] {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn slice(&mut self, len: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.slice(N)?.try_into().ok()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    #[inline]
    pub(crate) fn number(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift).filter(|_| shift < 63 || byte < 2)?;
            if byte < 0x80 {
                return Some(number);
            }
            shift += 7;
        }
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// Takes a number that counts or places something in memory.
    pub(crate) fn len(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    pub(crate) fn bytes(&mut self) -> Option<&'b [u8]> {
        let len = self.len()?;
        self.slice(len)
    }

    pub(crate) fn text(&mut self) -> Option<&'b str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_put_is_taken(numbers: Vec<u64>, signed: Vec<i64>, text: String) {
            let mut bytes = Vec::new();
            numbers.iter().for_each(|number| put_number(&mut bytes, *number));
            signed.iter().for_each(|number| put_signed(&mut bytes, *number));
            put_bytes(&mut bytes, text.as_bytes());
            let mut taker = Taker::new(&bytes);
            for number in numbers {
                prop_assert_eq!(taker.number(), Some(number));
            }
            for number in signed {
                prop_assert_eq!(taker.signed(), Some(number));
            }
            prop_assert_eq!(taker.text(), Some(&*text));
            prop_assert!(taker.is_empty());
        }

        #[test]
        fn any_bytes_are_taken_or_not(bytes: Vec<u8>) {
            let mut taker = Taker::new(&bytes);
            while taker.number().is_some() {}
            let _ = Taker::new(&bytes).text();
        }
    }

    #[test]
    fn the_largest_number_fits_and_no_larger_one() {
        assert_eq!(Taker::new(&[0xff; 9]).number(), None);
        let mut largest = vec![0xff; 9];
        largest.push(1);
        assert_eq!(Taker::new(&largest).number(), Some(u64::MAX));
        largest[9] = 2;
        assert_eq!(Taker::new(&largest).number(), None);
    }
}
