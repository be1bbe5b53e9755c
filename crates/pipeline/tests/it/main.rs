//! Stages together, over the corpus where it is.

mod oracle;
