//! Rows as the binary log carries them, read byte exactly.
//!
//! A TABLE_MAP event says how wide every column is ([`wire_type`]); together with the columns that
//! `information_schema` reports it becomes a [`ColumnPlan`], which cuts the row images out of rows events
//! without looking into the values. A value becomes text only when somebody asks for its [`literal`]:
//! an SQL expression that stores the same bytes again.
//!
//! The crate's own row decoder is not used. It corrupts MEDIUMINT, TIME(1), TIME(2), YEAR 0 and the
//! character sets of every column after a VECTOR, and it allocates for every value.
//! Nothing here reads optional TABLE_MAP metadata (names, signedness, character sets), so the server's
//! `binlog_row_metadata` does not matter.

pub mod client_text;
pub mod column_plan;
mod decimal;
pub mod foreign_statement;
mod json;
mod json_decimal;
mod json_scalar;
pub mod literal;
mod raw;
pub mod reading;
mod schema_fit;
pub mod stream;
mod temporal;
pub mod wire_type;

pub use column_plan::{ColumnPlan, Fields, RowChange, RowError, Rows};
pub use literal::literal_select_expr;
pub use wire_type::PlanMismatch;
