//! Stages together, over the sample, and over the corpus where it is.

mod oracle;
mod threads;
