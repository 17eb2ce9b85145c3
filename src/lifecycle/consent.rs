//! What an operator wants a swap to go past, once. Given with the wish for it.

/// Rows and requests of earlier versions have none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Consents {
    /// Transactions whose snapshot is older than the rows of the table that is to become live are not waited for.
    #[serde(default)]
    pub short_reads: bool,
    /// The two tables are known to differ.
    #[serde(default)]
    pub differences: bool,
}

impl Consents {
    /// As the argument of a request; `None` if there is nothing to be said.
    pub fn argument(self) -> Option<String> {
        (self != Consents::default()).then(|| serde_json::to_string(&self).unwrap_or_default())
    }

    /// What cannot be read is no consent.
    pub fn read(argument: Option<&str>) -> Self {
        argument.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consent_is_read_as_it_is_written() {
        let given = Consents { short_reads: true, differences: true };
        assert_eq!(Consents::read(given.argument().as_deref()), given);
        assert_eq!(Consents::default().argument(), None);
        assert_eq!(Consents::read(None), Consents::default());
        assert_eq!(Consents::read(Some("[\"max-lag=2s\"]")), Consents::default());
    }
}
