//! Everything that speaks to, or understands the bytes of, a MySQL server.

pub mod binlog;
