//! Days that no calendar has: the zero date, month or day 0, the 31st of February.
//!
//! rsc's sessions take them, so that rows which hold some can be copied. A server with NO_ZERO_DATE or
//! NO_ZERO_IN_DATE, which is the default, refuses them where something else becomes a date. Dates stay what they are,
//! though a native ALTER would refuse the table for them.

/// `value`, or what no DATE takes where it is a day that the server would not take.
pub fn guarded(value: &str) -> String {
    let day = format!("CAST({value} AS DATE)");
    format!(
        "IF(@@GLOBAL.sql_mode LIKE '%NO_ZERO%' AND {}, CONCAT({value}, ' is no day'), {value})",
        impossible(&day)
    )
}

/// `day` is an expression of a DATE or DATETIME.
pub fn impossible(day: &str) -> String {
    format!("(DAY({day}) = 0 OR DAY({day}) > DAY(LAST_DAY(CONCAT(LEFT({day}, 7), '-01'))))")
}
