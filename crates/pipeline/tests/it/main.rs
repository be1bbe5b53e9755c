//! Stages together, over the sample, and over the corpus where it is.

mod archive;
mod deliveries;
mod oracle;
mod threads;
