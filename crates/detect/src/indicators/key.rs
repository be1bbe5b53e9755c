//! A value to look for as bytes: what is stored of it, hashed and compared.
//!
//! Addresses and hashes are their bits; everything else its text in normal form. A hash that is not one (nothing keeps a
//! caller from making such a [`Matcher`]) is text too, so that every matcher comes back as it went in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cresset_event::{HashAlgorithm, Matcher, Network, ObservableKind};

/// Longest binary form: SHA-512.
pub(crate) const BINARY_BYTES_MAX: usize = 64;

/// What a value is: its kind and, in the lowest bit, whether it has the rarer of its two forms: a range of addresses, a
/// hash as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) u8);

/// A value as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key<'k> {
    pub(crate) code: Code,
    pub(crate) bytes: &'k [u8],
}

impl Code {
    /// How many bits a code has.
    pub(crate) const BITS: u32 = 5;

    /// The code of the usual form of a kind.
    pub(crate) fn usual(kind: ObservableKind) -> Self {
        Self((kind.index() as u8) << 1)
    }

    /// The code of its rarer form.
    pub(crate) fn rare(kind: ObservableKind) -> Self {
        Self(Self::usual(kind).0 | 1)
    }

    pub(crate) fn kind(self) -> ObservableKind {
        ObservableKind::ALL[usize::from(self.0 >> 1)]
    }

    fn is_rare(self) -> bool {
        self.0 & 1 != 0
    }

    pub(crate) fn is_range(self) -> bool {
        self.is_rare() && matches!(self.kind(), ObservableKind::Ipv4 | ObservableKind::Ipv6)
    }

    /// Returns how many bytes such a value has, where that is always the same.
    pub(crate) fn fixed_len(self) -> Option<usize> {
        match (self.kind(), self.is_rare()) {
            (ObservableKind::Ipv4, is_range) => Some(4 + usize::from(is_range)),
            (ObservableKind::Ipv6, is_range) => Some(16 + usize::from(is_range)),
            (ObservableKind::FileHash(algorithm), false) => Some(binary_len(algorithm)),
            _ => None,
        }
    }
}

impl Key<'_> {
    /// Returns the matcher that it was made of.
    pub(crate) fn matcher(self) -> Matcher {
        let text = || String::from_utf8_lossy(self.bytes).into_owned();
        match (self.code.kind(), self.code.is_rare()) {
            (ObservableKind::Ipv4 | ObservableKind::Ipv6, _) => Matcher::Address(self.network()),
            (ObservableKind::Domain, _) => Matcher::Domain(text()),
            (ObservableKind::Url, _) => Matcher::Url(text()),
            (ObservableKind::Email, _) => Matcher::Email(text()),
            (ObservableKind::FileName, _) => Matcher::FileName(text()),
            (ObservableKind::RegistryKey, _) => Matcher::RegistryKey(text()),
            (ObservableKind::User, _) => Matcher::User(text()),
            (ObservableKind::Process, _) => Matcher::Process(text()),
            (ObservableKind::FileHash(algorithm), false) => Matcher::FileHash(algorithm, hex(self.bytes)),
            (ObservableKind::FileHash(algorithm), true) => Matcher::FileHash(algorithm, text()),
        }
    }

    /// Returns the range; of a single address that of its full length.
    pub(crate) fn network(self) -> Network {
        let (address, prefix) = self.bytes.split_at(if self.code.kind() == ObservableKind::Ipv4 { 4 } else { 16 });
        let address = match address.first_chunk::<16>() {
            Some(v6) => IpAddr::V6(Ipv6Addr::from(*v6)),
            None => IpAddr::V4(Ipv4Addr::from(*address.first_chunk::<4>().expect("it was split so"))),
        };
        let full = if address.is_ipv4() { 32 } else { 128 };
        Network { address, prefix_bits: prefix.first().copied().unwrap_or(full) }
    }
}

/// Adds the bytes of a matcher, and returns what they are.
pub(crate) fn push_matcher(matcher: &Matcher, out: &mut Vec<u8>) -> Code {
    match matcher {
        Matcher::Address(network) => push_network(network, out),
        Matcher::FileHash(algorithm, hex) => {
            let mut binary = [0; BINARY_BYTES_MAX];
            let is_normal = !hex.bytes().any(|byte| byte.is_ascii_uppercase());
            match parse_hex(*algorithm, hex, &mut binary).filter(|_| is_normal) {
                Some(bytes) => {
                    out.extend_from_slice(bytes);
                    Code::usual(matcher.kind())
                }
                None => {
                    out.extend_from_slice(hex.as_bytes());
                    Code::rare(matcher.kind())
                }
            }
        }
        Matcher::Domain(text)
        | Matcher::Url(text)
        | Matcher::Email(text)
        | Matcher::FileName(text)
        | Matcher::RegistryKey(text)
        | Matcher::User(text)
        | Matcher::Process(text) => {
            out.extend_from_slice(text.as_bytes());
            Code::usual(matcher.kind())
        }
    }
}

/// Adds the bytes of a range, or of the address that it is, and returns what they are.
pub(crate) fn push_network(network: &Network, out: &mut Vec<u8>) -> Code {
    let kind = match network.address {
        IpAddr::V4(address) => {
            out.extend_from_slice(&address.octets());
            ObservableKind::Ipv4
        }
        IpAddr::V6(address) => {
            out.extend_from_slice(&address.octets());
            ObservableKind::Ipv6
        }
    };
    if network.is_single() {
        return Code::usual(kind);
    }
    out.push(network.prefix_bits);
    Code::rare(kind)
}

/// Reads a hash in any case; `None` where it is none of this algorithm.
pub(crate) fn parse_hex<'b>(
    algorithm: HashAlgorithm,
    hex: &str,
    out: &'b mut [u8; BINARY_BYTES_MAX],
) -> Option<&'b [u8]> {
    let out = &mut out[..binary_len(algorithm)];
    if hex.len() != out.len() * 2 {
        return None;
    }
    let mut is_hex = true;
    for (pair, byte) in hex.as_bytes().chunks_exact(2).zip(&mut *out) {
        let (high, low) = (NIBBLES[usize::from(pair[0])], NIBBLES[usize::from(pair[1])]);
        is_hex &= (high | low) < 16;
        *byte = high << 4 | low & 15;
    }
    is_hex.then_some(out)
}

/// By byte: the value of the hexadecimal digit; 255 for other bytes.
const NIBBLES: [u8; 256] = {
    let mut table = [255; 256];
    let mut digit = 0;
    while digit < 16 {
        table[b"0123456789abcdef"[digit] as usize] = digit as u8;
        table[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        digit += 1;
    }
    table
};

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn binary_len(algorithm: HashAlgorithm) -> usize {
    match algorithm {
        HashAlgorithm::Md5 | HashAlgorithm::ImpHash => 16,
        HashAlgorithm::Sha1 => 20,
        HashAlgorithm::Sha256 => 32,
        HashAlgorithm::Sha512 => 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_matcher_comes_back_as_it_went_in() {
        let of = |kind, text: &str| Matcher::of_kind(kind, text).expect("of its kind");
        let mut matchers: Vec<Matcher> = ["192.0.2.1", "192.0.2.0/24", "2001:db8::1", "2001:db8::/32", "0.0.0.0/0"]
            .into_iter()
            .map(|text| of(ObservableKind::Ipv4, text))
            .collect();
        matchers.push(of(ObservableKind::Domain, "evil.example"));
        matchers.push(of(ObservableKind::Url, "http://evil.example/A?é"));
        for (algorithm, digits) in [(HashAlgorithm::Md5, 32), (HashAlgorithm::Sha1, 40), (HashAlgorithm::Sha512, 128)] {
            matchers.push(of(ObservableKind::FileHash(algorithm), &"0f".repeat(digits / 2)));
            matchers.push(Matcher::FileHash(algorithm, "0F".repeat(digits / 2)));
        }
        matchers.push(Matcher::FileHash(HashAlgorithm::Sha256, "none".into()));
        for kind in [ObservableKind::FileName, ObservableKind::RegistryKey, ObservableKind::User] {
            matchers.push(of(kind, "name"));
        }
        for matcher in matchers {
            let mut bytes = Vec::new();
            let code = push_matcher(&matcher, &mut bytes);
            assert!(code.fixed_len().is_none_or(|len| len == bytes.len()), "{matcher}");
            assert_eq!(Key { code, bytes: &bytes }.matcher(), matcher);
        }
    }
}
