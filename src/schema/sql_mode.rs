//! A `sql_mode`, as the server prints it: with combinations such as ANSI written out.

use std::fmt;

/// Its words are in capitals, separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct SqlMode(String);

impl SqlMode {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.split(',').filter(|word| !word.is_empty())
    }

    pub fn has(&self, word: &str) -> bool {
        self.words().any(|own| own == word)
    }

    /// A value that does not fit a table of InnoDB is an error.
    pub fn strict(&self) -> bool {
        self.has("STRICT_TRANS_TABLES") || self.has("STRICT_ALL_TABLES")
    }

    pub fn only(&self, words: &[&str]) -> Self {
        self.filtered(|word| words.contains(&word))
    }

    pub fn without(&self, words: &[&str]) -> Self {
        self.filtered(|word| !words.contains(&word))
    }

    pub fn with(&self, word: &str) -> Self {
        match self.has(word) {
            true => self.clone(),
            false => Self(self.words().chain([word]).collect::<Vec<_>>().join(",")),
        }
    }

    fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.words().filter(|word| keep(word)).collect::<Vec<_>>().join(","))
    }
}

impl fmt::Display for SqlMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_and_left_out_whole() {
        let mode = SqlMode::new("ANSI_QUOTES,STRICT_TRANS_TABLES,ANSI");
        assert!(mode.has("ANSI") && mode.strict() && !mode.has("STRICT"));
        assert_eq!(mode.without(&["ANSI"]).to_string(), "ANSI_QUOTES,STRICT_TRANS_TABLES");
        assert_eq!(mode.only(&["ANSI"]).with("ANSI").with("X").to_string(), "ANSI,X");
        assert_eq!(SqlMode::default().with("X").to_string(), "X");
        assert!(!SqlMode::default().strict());
    }
}
