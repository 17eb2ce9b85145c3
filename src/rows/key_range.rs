//! Ranges of a key as SQL conditions. All comparisons are made by the server, in the key's own collation.

/// A point in a key: one SQL literal for each key column, in key order.
pub type Bound = Vec<String>;

/// How far the copy has come: rows above it are not in the shadow yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frontier {
    /// Nothing has been copied.
    Start,
    /// Every row up to and with this key has been copied.
    At(Bound),
    /// These ranges have been copied, each `lo < key <= hi`, and no others.
    Ranges(Vec<(Option<Bound>, Option<Bound>)>),
    /// All has been copied; rows of any key belong in the shadow.
    End,
}

/// `key > bound`. `columns` are expressions, one for each part of the bound.
pub fn above(columns: &[String], bound: &Bound) -> String {
    lexicographic(columns, bound, ">", ">")
}

/// `key <= bound`.
pub fn up_to(columns: &[String], bound: &Bound) -> String {
    lexicographic(columns, bound, "<", "<=")
}

/// `lo < key <= hi`, either side open where absent; `TRUE` for all rows.
pub fn between(columns: &[String], lo: Option<&Bound>, hi: Option<&Bound>) -> String {
    let parts: Vec<String> =
        lo.map(|b| above(columns, b)).into_iter().chain(hi.map(|b| up_to(columns, b))).collect();
    if parts.is_empty() { "TRUE".into() } else { parts.join(" AND ") }
}

/// In one of the ranges.
pub fn within(columns: &[String], ranges: &[(Option<Bound>, Option<Bound>)]) -> String {
    let parts: Vec<String> =
        ranges.iter().map(|(lo, hi)| format!("({})", between(columns, lo.as_ref(), hi.as_ref()))).collect();
    format!("({})", parts.join(" OR "))
}

/// `(a < x OR (a = x AND (b <= y)))` and so on. The outer bound on the first column is repeated on its own, so
/// that the optimizer sees a range whatever it makes of the OR.
fn lexicographic(columns: &[String], bound: &Bound, strict: &str, last: &str) -> String {
    debug_assert_eq!(columns.len(), bound.len());
    let mut condition = String::new();
    for (i, (column, literal)) in columns.iter().zip(bound).enumerate().rev() {
        condition = if i + 1 == columns.len() {
            format!("{column} {last} {literal}")
        } else {
            format!("({column} {strict} {literal} OR ({column} = {literal} AND {condition}))")
        };
    }
    match (columns.first(), bound.first()) {
        (Some(column), Some(literal)) if columns.len() > 1 => {
            format!("{column} {strict}= {literal} AND {condition}")
        }
        _ => condition,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| s.to_string()).collect()
    }

    #[test]
    fn one_column_is_a_plain_comparison() {
        assert_eq!(between(&names(&["a"]), Some(&names(&["1"])), Some(&names(&["9"]))), "a > 1 AND a <= 9");
        assert_eq!(between(&names(&["a"]), None, None), "TRUE");
    }

    #[test]
    fn ranges_are_alternatives() {
        let ranges = [(None, Some(names(&["3"]))), (Some(names(&["6"])), None)];
        assert_eq!(within(&names(&["a"]), &ranges), "((a <= 3) OR (a > 6))");
    }

    #[test]
    fn a_composite_key_compares_from_the_left() {
        let columns = names(&["a", "b"]);
        assert_eq!(above(&columns, &names(&["1", "2"])), "a >= 1 AND (a > 1 OR (a = 1 AND b > 2))");
        assert_eq!(up_to(&columns, &names(&["1", "2"])), "a <= 1 AND (a < 1 OR (a = 1 AND b <= 2))");
    }
}
