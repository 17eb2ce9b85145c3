//! A row whose text is longer than the server takes a statement.
//!
//! A value takes twice its size as hexadecimal text, so a row that its writer could send may be too long for rsc. Its
//! long values then go ahead, piece by piece, into user variables, and the row names those. A value that could be
//! written fits `max_allowed_packet`, and that is what the server allows CONCAT.
//!
//! Where the value of a variable would not mean the same as the literal, it stays: within JSON, bytes get the tag of the
//! type that they came from.

/// Literals of so many digits stay in the row.
const SHORT: usize = 1 << 10;
/// Beside the digits: `SET @_rsc_1000 = CONCAT(@_rsc_1000, x'…')`.
const AROUND: usize = 64;

/// What is to be run, in this order, the row standing where it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pieces {
    pub ahead: Vec<String>,
    pub row: String,
    /// Gives back the memory.
    pub after: String,
}

/// Cuts `row`, as it stands in a statement, so that no text is longer than `most` bytes. `None` if that cannot be
/// done: the row stays too long, or one value has more than `value_most` bytes, for which CONCAT would give NULL.
pub fn cut(row: &str, most: usize, value_most: usize) -> Option<Pieces> {
    let digits_most = most.checked_sub(AROUND)? & !1;
    if digits_most == 0 {
        return None;
    }
    let (mut ahead, mut short, mut kept, mut names) = (Vec::new(), String::new(), 0, Vec::new());
    for literal in literals(row).filter(|literal| literal.digits.len() > SHORT && literal.movable()) {
        if literal.digits.len() / 2 > value_most {
            return None;
        }
        let name = format!("@_rsc_{}", names.len());
        for (i, at) in (0..literal.digits.len()).step_by(digits_most).enumerate() {
            let piece = &literal.digits[at..literal.digits.len().min(at + digits_most)];
            ahead.push(match i {
                0 => format!("SET {name} = x'{piece}'"),
                _ => format!("SET {name} = CONCAT({name}, x'{piece}')"),
            });
        }
        short.push_str(&row[kept..literal.start]);
        match literal.charset {
            Some(charset) => short.push_str(&format!("CONVERT({name} USING {charset})")),
            None => short.push_str(&name),
        }
        kept = literal.end;
        names.push(name);
    }
    short.push_str(&row[kept..]);
    let nothing: Vec<_> = names.iter().map(|name| format!("{name} = NULL")).collect();
    let after = format!("SET {}", nothing.join(", "));
    (short.len() <= most && !names.is_empty()).then_some(Pieces { ahead, row: short, after })
}

/// `_charset x'…'` or `x'…'` at `start..end` of a row.
struct Literal<'r> {
    start: usize,
    end: usize,
    charset: Option<&'r str>,
    digits: &'r str,
    /// Within how many parentheses: 1 is the row itself.
    depth: usize,
}

impl Literal<'_> {
    /// Whether a variable can stand for it.
    fn movable(&self) -> bool {
        self.depth == 1 || self.charset == Some("utf8mb4")
    }
}

/// The hexadecimal literals of a row. No text in quotes that rsc writes has a quote in it.
fn literals(row: &str) -> impl Iterator<Item = Literal<'_>> {
    let (mut at, mut depth) = (0, 0_usize);
    std::iter::from_fn(move || {
        loop {
            let found = at + row[at..].find(['(', ')', '\''])?;
            at = found + 1;
            match row.as_bytes()[found] {
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                _ => {
                    let end = at + row[at..].find('\'')? + 1;
                    let digits = &row[at..end - 1];
                    at = end;
                    let Some(before) = row[..found].strip_suffix('x') else { continue };
                    let charset = introducer(before);
                    let start = before.len() - charset.map_or(0, |name| name.len() + 2);
                    return Some(Literal { start, end, charset, digits, depth });
                }
            }
        }
    })
}

/// The character set that `before` ends by: `…,_latin1 `.
fn introducer(before: &str) -> Option<&str> {
    let before = before.strip_suffix(' ')?;
    let (rest, name) = before.rsplit_once('_')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
    (is_name && rest.ends_with([',', '('])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_go_ahead_in_pieces_and_short_ones_stay() {
        let (long, text) = ("ab".repeat(1_500), "c3a9".repeat(400));
        let row = format!("(7,x'{long}','12:00:00',_latin1 x'{text}',x'0102',NULL)");
        let pieces = cut(&row, 2_000, 2_000).unwrap();
        assert_eq!(pieces.row, "(7,@_rsc_0,'12:00:00',CONVERT(@_rsc_1 USING latin1),x'0102',NULL)");
        assert_eq!(pieces.after, "SET @_rsc_0 = NULL, @_rsc_1 = NULL");
        assert_eq!(
            pieces.ahead,
            [
                format!("SET @_rsc_0 = x'{}'", &long[..1_936]),
                format!("SET @_rsc_0 = CONCAT(@_rsc_0, x'{}')", &long[1_936..]),
                format!("SET @_rsc_1 = x'{text}'"),
            ]
        );
        assert!(pieces.ahead.iter().all(|statement| statement.len() <= 2_000));
    }

    #[test]
    fn within_json_only_text_is_moved() {
        let long = "61".repeat(1_000);
        let row = format!("(JSON_ARRAY(_utf8mb4 x'{long}',CAST('10:00' AS TIME(6))))");
        assert_eq!(
            cut(&row, 1_500, 1_500).unwrap().row,
            "(JSON_ARRAY(CONVERT(@_rsc_0 USING utf8mb4),CAST('10:00' AS TIME(6))))"
        );
        assert_eq!(cut(&format!("(JSON_ARRAY(x'{long}'))"), 1_500, 1_500), None);
        assert_eq!(cut(&format!("(JSON_ARRAY(_ucs2 x'{long}'))"), 1_500, 1_500), None);
    }

    #[test]
    fn what_cannot_be_sent_is_not_tried() {
        let value = |bytes| format!("(x'{}')", "00".repeat(bytes));
        assert!(cut(&value(2_000), 1_000, 2_000).is_some());
        assert_eq!(cut(&value(2_001), 1_000, 2_000), None, "CONCAT would give NULL");
        assert_eq!(cut(&format!("({})", "1,".repeat(2_000)), 2_000, 2_000), None, "no value is long");
        assert_eq!(cut(&value(2_000), 10, 2_000), None);
    }
}
