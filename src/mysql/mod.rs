//! The MySQL server: each module does one thing to it and reports. Nothing is decided here.

pub mod ahead;
pub mod apply;
pub mod attached;
pub mod binlog;
pub mod census;
pub mod copy;
pub mod duplicate;
pub mod foreign_keys;
pub mod indexes;
pub mod inspect;
pub mod leftover;
pub mod losses;
pub mod oracle;
pub mod preflight;
pub mod prepared;
pub mod readers;
pub mod retention;
pub mod sample;
pub mod server_settings;
pub mod shadow;
pub mod statistics;
pub mod swap;
pub mod throttle;
pub mod transactions;
pub mod verify;
pub mod volume;

/// What rsc's readers of the binlog call themselves, so that they are not taken for replicas.
const READER_NAME: &str = "rsc";
