//! What somebody may have meant who misspelt a name.

/// So many letters of a name may be wrong, missing or exchanged, for each letter that it has.
const WRONG_LETTERS: f64 = 0.34;

/// The known name that is nearest to the one that was typed. `None` when none is near enough to be meant.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let small = |name: &str| name.to_lowercase().replace('_', "-");
    let typed = small(typed);
    let most = (typed.chars().count() as f64 * WRONG_LETTERS).max(1.0) as usize;
    let wrong = |name: &&str| strsim::damerau_levenshtein(&typed, &small(name));
    known
        .into_iter()
        .map(|name| (wrong(&name), name))
        .filter(|(wrong, _)| *wrong <= most)
        .min()
        .map(|(_, name)| name)
}

/// A question to ask, or nothing.
pub fn did_you_mean<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(typed, known).map_or(String::new(), |name| format!("did you mean `{name}`? "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_recognised_and_a_strange_one_is_not() {
        let known = ["host", "port", "batch-time", "orders"];
        assert_eq!(nearest("hots", known), Some("host"));
        assert_eq!(nearest("BATCH_TIEM", known), Some("batch-time"));
        assert_eq!(nearest("order", known), Some("orders"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }
}
