//! What tables are, what a statement asks of them, and how the rows of one become rows of the other. Pure.

pub mod compensation;
pub mod conversion;
pub mod counter;
pub mod deferral;
pub mod expressions;
pub mod full_text;
pub mod generated;
pub mod key;
pub mod kind;
pub mod meaning;
pub mod projection;
pub mod revert_report;
pub mod sql_mode;
pub mod statement;
pub mod table;
