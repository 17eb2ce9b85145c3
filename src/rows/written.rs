//! Which columns a row's changes have written, of those for which it matters ([`super::kept`]).
//!
//! A row event holds the row before and after. A column was written if its bytes differ between the two in any event of
//! a row, whatever it is in the end: what is written and written back has been written. An UPDATE that sets a
//! column to what it holds leaves no other trace than one that does not name it, and counts as neither.

/// One place a column, `1` if it was written and `0` if not. As text, so that the server can store it, and join
/// two by its bit operator `|`: `'0' | '1'` is `'1'`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Written(Option<Box<[u8]>>);

impl Written {
    /// Every column, as an INSERT does.
    pub const ALL: Written = Written(None);

    pub fn of(columns: impl Iterator<Item = bool>) -> Self {
        Self(Some(columns.map(|written| if written { b'1' } else { b'0' }).collect()))
    }

    /// By the one, then by the other.
    pub fn and(self, then: &Written) -> Self {
        match (self.0, &then.0) {
            (Some(mut one), Some(other)) => {
                for (one, other) in one.iter_mut().zip(other) {
                    *one |= other;
                }
                Self(Some(one))
            }
            (None, _) | (_, None) => Self::ALL,
        }
    }

    /// As the server stores it, where `columns` matter.
    pub fn text(&self, columns: usize) -> String {
        match &self.0 {
            Some(places) => places.iter().copied().map(char::from).collect(),
            None => "1".repeat(columns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_either_has_written_is_written() {
        let (one, other) =
            (Written::of([true, false, false].into_iter()), Written::of([false, true, false].into_iter()));
        assert_eq!(one.clone().and(&other).text(3), "110");
        assert_eq!(one.clone().and(&Written::ALL), Written::ALL);
        assert_eq!(Written::ALL.and(&one).text(3), "111");
    }
}
