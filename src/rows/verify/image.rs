//! A row as one text, and the sum of many.

use super::Compared;
use crate::schema::conversion;

/// A row as one text, from which every value, its absence and its length can be told.
pub fn image(columns: &[(String, &Compared)]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let (mut lengths, mut nulls) = (Vec::new(), Vec::new());
    for (value, column) in columns {
        let target = &column.mapped.target;
        let bytes = conversion::bytes(target, value);
        if conversion::of_any_length(target) {
            lengths.push(format!("LENGTH({bytes})"));
        }
        if target.nullable {
            nulls.push(format!("ISNULL({value})"));
        }
        parts.push(bytes);
    }
    parts.extend(lengths);
    if !nulls.is_empty() {
        parts.push(format!("CONCAT({})", nulls.join(", ")));
    }
    // The separator's character set makes the whole binary, so that no text is converted.
    format!("CONCAT_WS(CAST('#' AS BINARY), {})", parts.join(", "))
}

pub fn hash(text: &str) -> String {
    format!("SHA2({text}, 256)")
}

pub fn sum(hash: &str, from: &str, which: &str) -> String {
    format!("SELECT COUNT(*), HEX(BIT_XOR(UNHEX({hash}))) FROM {from} WHERE {which}")
}
