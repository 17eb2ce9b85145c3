//! rsc: online schema change for MySQL that can be taken back.

pub mod mysql;
pub mod schema;
