//! Decimals inside JSON, each with the precision that it is stored with.
//!
//! A document keeps precision and scale for each decimal. The scale is part of the value (1.10 is not shown as 1.1);
//! the precision only tells how the decimal came to be, but bytes differ with it. The integer part is as wide as
//! - its digits (at least one, unless written `.5`) if it was a literal;
//! - groups of nine digits, at least one, if it was cast;
//! - the column's integer part without leading groups of zeros, if it was a column's.
//!
//! So the first of these three that gives the stored width makes it again. What none of them gives, a precision above
//! 65 (the server's maximum for types) that is no cast's, becomes the nearest, equal in value.

use super::column_plan::RowError;
use super::json::MALFORMED;
use super::json_scalar::put_column;
use super::raw::put;

/// Digits that the server keeps in one group.
const GROUP: usize = 9;
const PRECISION_MAX: u8 = 65;

/// `data` is precision, scale, then the number as a column has it.
pub(super) fn write(data: &[u8], out: &mut String) -> Result<(), RowError> {
    let [precision, scale, number @ ..] = data else { return Err(MALFORMED) };
    let mut text = String::new();
    super::decimal::write(number, *precision, *scale, &mut text)?;
    let (sign, unsigned) = text.split_at(usize::from(text.starts_with('-')));
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = if whole == "0" { 0 } else { whole.len() };
    // The decoder took a scale of at most the precision.
    let width = usize::from(*precision - *scale);
    let whole = if width == 0 { "" } else { whole };
    let (precision, scale) = (*precision.min(&PRECISION_MAX), *scale);
    if width == digits || (width == 1 && digits == 0) {
        put(out, format_args!("{sign}{whole}.{fraction}"));
    } else if width == GROUP * digits.div_ceil(GROUP).max(1) || width > usize::from(PRECISION_MAX) {
        put(out, format_args!("CAST({sign}{whole}.{fraction} AS DECIMAL({precision},{scale}))"));
    } else {
        put_column(out, &format!("DECIMAL({precision},{scale})"), |out| {
            put(out, format_args!("{sign}{whole}.{fraction}"));
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(data: &[u8]) -> String {
        let mut out = String::new();
        write(data, &mut out).unwrap();
        out
    }

    #[test]
    fn the_form_follows_from_the_stored_precision() {
        assert_eq!(text(&[3, 2, 0x81, 10]), "1.10");
        assert_eq!(text(&[1, 0, 0x85]), "5.");
        assert_eq!(text(&[2, 1, 0x80, 5]), "0.5");
        assert_eq!(text(&[1, 1, 0x7a]), "-.5");
        assert_eq!(text(&[11, 2, 0x80, 0, 0, 1, 10]), "CAST(1.10 AS DECIMAL(11,2))");
        assert_eq!(text(&[9, 0, 0x80, 0, 0, 0]), "CAST(0. AS DECIMAL(9,0))");
        assert!(
            text(&[10, 2, 0x80, 0, 0, 42, 7])
                .contains("JSON_ARRAY(42.07),'$[*]' COLUMNS(c DECIMAL(10,2) PATH")
        );
    }
}
