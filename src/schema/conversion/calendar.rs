//! Days that no calendar has: the zero date, month or day 0, the 31st of February.
//!
//! rsc's sessions take them, so that rows which hold some can be copied. Where something else becomes a date, the server's
//! sql_mode decides: NO_ZERO_DATE refuses the first, NO_ZERO_IN_DATE the second, and the third pass with
//! ALLOW_INVALID_DATES only. The default refuses them all. Dates stay what they are, though a native ALTER would refuse the
//! table for them.

/// `value`, or what no DATE takes where it is a day that the server would not take.
pub fn guarded(value: &str) -> String {
    let day = format!("CAST({value} AS DATE)");
    let has = |mode: &str| format!("FIND_IN_SET('{mode}', @@GLOBAL.sql_mode)");
    // Of a day without a month there is no last day: to ask for it would be an error.
    format!(
        "IF(CASE WHEN {day} = 0 THEN {} WHEN MONTH({day}) = 0 OR DAY({day}) = 0 THEN {} ELSE {} AND NOT {} END, \
         CONCAT({value}, ' is no day'), {value})",
        has("NO_ZERO_DATE"),
        has("NO_ZERO_IN_DATE"),
        beyond_the_month(&day),
        has("ALLOW_INVALID_DATES")
    )
}

fn beyond_the_month(day: &str) -> String {
    format!("DAY({day}) > DAY(LAST_DAY(CONCAT(LEFT({day}, 7), '-01')))")
}

/// `day` is an expression of a DATE or DATETIME.
pub fn impossible(day: &str) -> String {
    format!("(DAY({day}) = 0 OR {})", beyond_the_month(day))
}
