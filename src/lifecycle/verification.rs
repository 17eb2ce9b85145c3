//! What a verification found: the two tables compared, at a time, by a process.

use super::state::Serving;

/// How a row of the table that does not serve is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is not there.
    Missing,
    /// The live table does not have it.
    Extra,
    /// Some values are others.
    Differs,
    /// Some values are not what a native ALTER makes of the row.
    Native,
    /// An index over an expression does not have it where it belongs; `cells` name the indexes.
    Unindexed,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Missing => "missing",
            Kind::Extra => "extra",
            Kind::Differs => "differs",
            Kind::Native => "native",
            Kind::Unindexed => "unindexed",
        }
    }
}

/// A value that is not what it should be; `None` is NULL. Cut where it is long.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cell {
    pub column: String,
    pub expected: Option<String>,
    pub found: Option<String>,
}

/// A row that differs, though the stream has not touched it meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Finding {
    pub kind: Kind,
    /// For people.
    pub key: String,
    /// Empty for a row that is missing or extra.
    pub cells: Vec<Cell>,
    /// It is as it should be now.
    pub mended: bool,
}

/// How a verification ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every row is what it should be, perhaps after it was mended.
    Equal,
    /// Some are not.
    Differs,
    /// Something else was asked for before its end.
    BrokenOff,
}

impl Outcome {
    pub const ALL: [Outcome; 3] = [Outcome::Equal, Outcome::Differs, Outcome::BrokenOff];

    pub fn name(self) -> &'static str {
        match self {
            Outcome::Equal => "equal",
            Outcome::Differs => "differs",
            Outcome::BrokenOff => "broken_off",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Outcome::ALL.into_iter().find(|outcome| outcome.name() == text)
    }
}

/// After so many rows a verification ends: the table is not what it should be, and a list of them helps nobody.
pub const FINDINGS_MAX: usize = 1_000;

/// What the operator's own statement, done by the server natively, made of a sample of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Native {
    /// Rows that were compared.
    pub rows: u64,
    /// Rows that were not, and why, a sentence each.
    pub left_out: Vec<String>,
    /// Columns that were not: what they hold depends on the moment, or is a number of a counter.
    pub excluded: Vec<String>,
}

/// One verification.
#[derive(Clone, Debug, PartialEq)]
pub struct Verification {
    /// Its number in the journal.
    pub id: u64,
    pub serving: Serving,
    /// Findings are mended.
    pub repair: bool,
    /// Nobody asked for it: it is one of those that are made while the stream is kept.
    pub background: bool,
    /// What a native ALTER made of a sample, where it was asked.
    pub native: Option<Native>,
    /// `None` while it runs, and where its process was lost.
    pub outcome: Option<Outcome>,
    /// Rows of the live table that were compared.
    pub rows: u64,
    /// Rows that are not what they should be, and the first [`FINDINGS_MAX`] that were not.
    pub findings: Vec<Finding>,
    /// Rows that were mended and are not listed.
    pub unlisted: u64,
    /// Rows that were written each time that they were looked at. The stream has written them as often.
    pub unsettled: u64,
    /// Columns that one side has alone, or that the server fills by itself.
    pub excluded: Vec<String>,
    pub seconds: f64,
    /// GTID set at which it ended.
    pub position: String,
    /// Server time, UTC.
    pub began_at: String,
    pub ended_at: Option<String>,
}

impl Verification {
    /// Rows that are not what they should be.
    pub fn mismatches(&self) -> usize {
        self.findings.iter().filter(|finding| !finding.mended).count()
    }

    pub fn mended(&self) -> u64 {
        (self.findings.len() - self.mismatches()) as u64 + self.unlisted
    }

    /// It ended before it had seen all rows, because too many differ.
    pub fn cut_short(&self) -> bool {
        self.mismatches() >= FINDINGS_MAX
    }
}

/// For people: the first rows by their keys.
pub fn named(findings: &[Finding]) -> String {
    const NAMED_MAX: usize = 3;
    let open: Vec<&Finding> = findings.iter().filter(|finding| !finding.mended).collect();
    let row = |finding: &&Finding| {
        let columns: Vec<&str> = finding.cells.iter().map(|cell| cell.column.as_str()).collect();
        match finding.kind {
            Kind::Differs => format!("({}) differs in {}", finding.key, columns.join(", ")),
            Kind::Missing => format!("({}) is missing", finding.key),
            Kind::Extra => format!("({}) is there but should not be", finding.key),
            Kind::Native => {
                format!("({}) is not what a native ALTER makes of it, in {}", finding.key, columns.join(", "))
            }
            Kind::Unindexed => {
                format!("({}) is not where it should be in the index {}", finding.key, columns.join(", "))
            }
        }
    };
    let named: Vec<String> = open.iter().take(NAMED_MAX).map(row).collect();
    let more = open.len() - named.len();
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{more}", named.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rows_that_are_not_mended_are_named() {
        let finding = |key: &str, kind, mended| {
            let cell = |column: &str| Cell { column: column.into(), expected: None, found: None };
            let cells = if kind == Kind::Differs { vec![cell("a"), cell("b")] } else { Vec::new() };
            Finding { kind, key: key.into(), cells, mended }
        };
        let findings = [
            finding("1", Kind::Differs, false),
            finding("2", Kind::Missing, true),
            finding("3", Kind::Missing, false),
            finding("4", Kind::Extra, false),
            finding("5", Kind::Extra, false),
        ];
        assert_eq!(
            named(&findings),
            "(1) differs in a, b; (3) is missing; (4) is there but should not be; and 1 more"
        );
    }

    #[test]
    fn outcomes_are_read_back() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.name()), Some(outcome));
        }
    }
}
