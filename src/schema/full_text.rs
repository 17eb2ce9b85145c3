//! A full-text key with an FTS_DOC_ID column of one's own.
//!
//! InnoDB numbers the rows of a table with a full-text key in a hidden column, or in one of this name if the table has it. In
//! one's own it takes only numbers that are greater than all before: an INSERT of a row that has been there already, as a
//! copy side by side, a row that moves and a way back are made of, is refused, or leaves the old number in the full-text
//! index. So such a table is refused.

use super::table::Table;

/// InnoDB wants it in upper case.
const NUMBERS: &str = "FTS_DOC_ID";

/// Whether the table numbers its documents itself.
pub fn numbered(table: &Table) -> bool {
    let full_text = table.create.lines().any(|line| line.trim_start().starts_with("FULLTEXT KEY "));
    full_text && table.columns.iter().any(|column| column.name == NUMBERS)
}
