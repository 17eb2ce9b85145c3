//! Rows on their way: which have been copied, what happened to them since, and the SQL that moves them. Pure.

pub mod compaction;
pub mod coverage;
pub mod duplicate;
pub mod gtid_set;
pub mod history;
pub mod image;
pub mod kept;
pub mod key_range;
pub mod ledger;
pub mod long_row;
pub mod pacing;
pub mod statements;
pub mod verify;
pub mod written;
