//! The text of a statement as its client meant it. Pure, but for what only the server can decode.
//!
//! The binlog has the bytes that a client sent, and beside them its character set and `sql_mode`. A server compares names in
//! UTF-8, so it converts them first; whoever reads the bytes as UTF-8 misses the name of a table that a client of latin1 or
//! gbk has written. Nearly all text is ASCII, or the UTF-8 that it says it is. The rest is [`Foreign`]: the server converts
//! it, by the same tables as when it ran the statement. Where that fails too, what cannot be read is [`UNREADABLE`], and no
//! name that contains it is taken for another table's.

use mysql_common::binlog::consts::StatusVarKey;
use mysql_common::binlog::events::{QueryEvent, StatusVarVal};

/// Stands where bytes could not be decoded. In no name of a table, which the server would not take.
pub const UNREADABLE: char = char::REPLACEMENT_CHARACTER;

/// A statement, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientText {
    pub sql: String,
    /// All of it could be.
    pub decoded: bool,
    /// The client's sql_mode is without NO_BACKSLASH_ESCAPES.
    pub backslash_escapes: bool,
}

/// Text that only the server can decode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The number of a collation of the client's character set.
    pub collation: u16,
    pub bytes: Vec<u8>,
}

/// Of utf8mb3 and utf8mb4, as clients set them by default; and `binary`, which the server takes for UTF-8 where it needs
/// names. Others of UTF-8 are converted into what they are.
const UTF8: [u16; 8] = [33, 45, 46, 63, 76, 83, 224, 255];
/// swe7 has letters where ASCII has signs.
const SWE7: [u16; 2] = [10, 82];
const NO_BACKSLASH_ESCAPES: u64 = 1 << 20;

impl ClientText {
    /// As most clients send it.
    pub fn plain(sql: &str) -> Self {
        Self { sql: sql.into(), decoded: true, backslash_escapes: true }
    }

    /// `converted` is what the server made of [`Foreign`] text; `None` where it was not asked, or could not.
    pub fn of(event: &QueryEvent<'_>, converted: Option<String>) -> Self {
        let bytes = event.query_raw();
        let known = foreign(event).is_none();
        let (sql, decoded) = match (converted, std::str::from_utf8(bytes)) {
            (Some(sql), _) => (sql, true),
            (None, Ok(sql)) => (sql.to_owned(), known),
            (None, Err(_)) => (String::from_utf8_lossy(bytes).into_owned(), false),
        };
        // In a set that is not UTF-8 a character's second byte may look like ASCII, and end a name too early.
        let sql = if decoded || known { sql } else { hidden(&sql) };
        Self { sql, decoded, backslash_escapes: backslash_escapes(event) }
    }
}

/// Text whose quotes cannot be trusted: nothing of it is read but that it cannot be.
fn hidden(sql: &str) -> String {
    format!("'{UNREADABLE} {}", sql.replace('\'', " "))
}

/// What only the server can decode, if the statement is such text.
pub fn foreign(event: &QueryEvent<'_>) -> Option<Foreign> {
    let bytes = event.query_raw();
    let var = event.status_vars().get_status_var(StatusVarKey::Charset)?;
    let Ok(StatusVarVal::Charset { charset_client: collation, .. }) = var.get_value() else { return None };
    let plain = bytes.is_ascii() && !SWE7.contains(&collation);
    (!plain && !UTF8.contains(&collation)).then(|| Foreign { collation, bytes: bytes.to_vec() })
}

/// Read from the eight bytes themselves: a mode that the driver does not know must not hide the others.
fn backslash_escapes(event: &QueryEvent<'_>) -> bool {
    let var = event.status_vars().get_status_var(StatusVarKey::SqlMode);
    match var.as_ref().map(|var| var.get_value()) {
        Some(Ok(StatusVarVal::SqlMode(mode))) => mode.0 & NO_BACKSLASH_ESCAPES == 0,
        _ => true,
    }
}
