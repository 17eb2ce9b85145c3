//! rsc: online schema change for MySQL that can be taken back.

pub mod rows;
pub mod schema;
