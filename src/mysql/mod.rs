//! The MySQL server: each module does one thing to it and reports. Nothing is decided here.

pub mod ahead;
pub mod apply;
pub mod binlog;
pub mod copy;
pub mod duplicate;
pub mod inspect;
pub mod leftover;
pub mod losses;
pub mod preflight;
pub mod retention;
pub mod shadow;
pub mod swap;
