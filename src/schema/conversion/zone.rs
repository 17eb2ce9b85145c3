//! TIMESTAMP from and to DATETIME and DATE, and texts that say their own offset, as in the server's own time zone.
//!
//! A native ALTER runs in the server's time zone; rsc's sessions are in UTC, or, where expressions depend on it, in the
//! server's (`schema/meaning.rs`). `@@GLOBAL.time_zone` may be `SYSTEM`, an offset or a name, and CONVERT_TZ takes all
//! three. Where both zones are one, it returns its argument, but for a time that the clock leaps over, as below.
//!
//! CONVERT_TZ returns its argument, without a word, where the result would be before 1970. A time that the clock
//! leaps over it takes for the end of the leap, as the server does for such a value when it is not strict. Both are
//! seen by converting back: the time is another one.

use super::Manner;
use super::calendar::impossible;
use super::family::fraction;
use crate::schema::table::Column;

const ZONE: &str = "@@GLOBAL.time_zone";

/// The DATETIME that the server's clock showed at a TIMESTAMP.
pub fn local(from: &Column, value: &str) -> String {
    let fraction = fraction(from);
    format!(
        "IF({value} = 0, CAST({value} AS DATETIME({fraction})), CONVERT_TZ({value}, @@SESSION.time_zone, {ZONE}))"
    )
}

/// The TIMESTAMP at which the server's clock showed a DATETIME, which is rounded first.
pub fn instant(to: &Column, manner: Manner, value: &str) -> String {
    let rounded = format!("CAST({value} AS DATETIME({}))", fraction(to));
    let utc = format!("CONVERT_TZ({rounded}, {ZONE}, @@SESSION.time_zone)");
    let back = format!("CONVERT_TZ({utc}, @@SESSION.time_zone, {ZONE})");
    match manner {
        // The text is no time, so the assignment fails, and its error has the text.
        Manner::Strict => format!(
            "IF({value} IS NULL OR {value} = 0, {rounded}, \
             IF({back} = {rounded}, {utc}, CONCAT({value}, ' is no TIMESTAMP in the time zone of the server')))"
        ),
        Manner::Nearest => {
            let impossible = impossible(value);
            format!(
                "IF({value} IS NULL, NULL, COALESCE(IF({impossible} \
                 OR ({rounded} < '1970-01-03' AND {back} <> {rounded}), NULL, {utc}), '0000-00-00 00:00:00'))"
            )
        }
    }
}

/// A text on its way to `to`, which is a date or a time. One such as `2024-02-29 12:00:00+05:00` is an instant, of which a
/// column has what the server's clock showed at it. Any other text is the same in every zone, and so is left alone.
pub fn with_offset(to: &Column, value: &str) -> String {
    let instant = format!("CAST({value} AS DATETIME(6))");
    let local = format!("CONVERT_TZ({instant}, @@SESSION.time_zone, {ZONE})");
    let (part, time) = match to.data_type.as_str() {
        "date" => (format!("DATE({local})"), ""),
        // Where it reads a time, the server takes a date before it only if a space is between them.
        "time" => (format!("TIME({local})"), " [0-9:.]*"),
        _ => (local, ""),
    };
    format!(
        "IF(CONVERT({value} USING latin1) REGEXP '{time}[0-9][+-][0-9]{{2}}:[0-9]{{2}}[[:space:]]*$' \
         AND {instant} IS NOT NULL, {part}, {value})"
    )
}
