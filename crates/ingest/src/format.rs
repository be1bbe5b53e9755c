//! What `cresset formats` lists, and how a format is told from the others.

/// A format that can be read.
#[derive(Debug, Clone, Copy)]
pub struct FormatInfo {
    /// Its name on the command line and in reports.
    pub name: &'static str,
    /// What it is, in one line.
    pub title: &'static str,
    /// One record of it.
    pub example: &'static str,
}

/// The formats, in the order in which they are tried.
pub(crate) const ALL: &[FormatInfo] = &[
    crate::evtx::INFO,
    crate::windows::INFO,
    crate::suricata::INFO,
    crate::zeek::INFO,
    crate::zeek_tsv::INFO,
    crate::syslog::INFO,
    crate::access_log::INFO,
    crate::json_lines::INFO,
];
