//! What the written table looks like: its key, its payload, and values for both.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// A value as written. All of a table's values come back as text, so that is what cells are compared by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Cell {
    /// As the server prints it, `None` for NULL.
    pub fn printed(&self) -> Option<Vec<u8>> {
        match self {
            Self::Null => None,
            Self::Int(number) => Some(number.to_string().into_bytes()),
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Bytes(bytes) => Some(bytes.clone()),
        }
    }

    /// Under the default `sql_mode`, where a backslash escapes.
    pub fn literal(&self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Int(number) => number.to_string(),
            Self::Text(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
            Self::Bytes(bytes) => {
                let digits: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
                format!("x'{digits}'")
            }
        }
    }
}

impl From<&Cell> for mysql_async::Value {
    fn from(cell: &Cell) -> Self {
        match cell {
            Cell::Int(number) => Self::Int(*number),
            _ => cell.printed().map_or(Self::NULL, Self::Bytes),
        }
    }
}

/// The primary key, with the columns [`Shape::key_columns`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `id bigint auto_increment`. The server chooses keys; moved rows get negative ones, which it never chooses.
    AutoIncrement,
    /// `(part int, code varchar)`.
    Composite,
    /// `code varchar` under utf8mb4_0900_ai_ci, where one key has many spellings.
    Text,
    /// `id binary(16)`, in random order, some with zero bytes at the end.
    Binary,
    /// `id bigint`, on both sides of zero, and zero.
    Signed,
}

impl Shape {
    pub const ALL: [Self; 5] = [Self::AutoIncrement, Self::Composite, Self::Text, Self::Binary, Self::Signed];

    pub fn key_columns(self) -> &'static [&'static str] {
        match self {
            Self::AutoIncrement | Self::Binary | Self::Signed => &["id"],
            Self::Composite => &["part", "code"],
            Self::Text => &["code"],
        }
    }

    /// The key's column definitions, for a CREATE TABLE.
    pub fn key_definitions(self) -> &'static str {
        match self {
            Self::AutoIncrement => "id bigint NOT NULL AUTO_INCREMENT",
            Self::Composite => "part int NOT NULL, code varchar(60) COLLATE utf8mb4_0900_ai_ci NOT NULL",
            Self::Text => "code varchar(60) COLLATE utf8mb4_0900_ai_ci NOT NULL",
            Self::Binary => "id binary(16) NOT NULL",
            Self::Signed => "id bigint NOT NULL",
        }
    }

    /// The key of writer `owner`'s row `number`: no two of (owner, number) give equal keys, also under the collation.
    /// The same row may get a key of another spelling next time.
    pub fn key(self, writers: u32, owner: u32, number: RowNumber, rng: &mut StdRng) -> Vec<Cell> {
        let interleaved = number.0 * i64::from(writers) + i64::from(owner);
        match self {
            Self::AutoIncrement => vec![Cell::Int(number.0)],
            Self::Composite => vec![Cell::Int(number.0 % 5 - 2), Cell::Text(spell(owner, number, rng))],
            Self::Text => vec![Cell::Text(spell(owner, number, rng))],
            Self::Binary => {
                let head = scatter(interleaved as u64).to_be_bytes();
                vec![Cell::Bytes([head, (interleaved as u64).to_le_bytes()].concat())]
            }
            // 0, -1, 1, -2, 2 …
            Self::Signed => vec![Cell::Int((interleaved >> 1) ^ -(interleaved & 1))],
        }
    }

    /// The numbers of the rows that writer `owner` has at first.
    pub fn first_rows(self, writers: u32, owner: u32, rows: usize) -> impl Iterator<Item = RowNumber> {
        (0..rows as i64).map(move |row| match self {
            Self::AutoIncrement => RowNumber(row * i64::from(writers) + i64::from(owner) + 1),
            Self::Composite | Self::Text | Self::Binary | Self::Signed => RowNumber(row),
        })
    }

    /// As many numbers again, for rows to come and for keys to change to.
    pub fn free_rows(self, writers: u32, owner: u32, rows: usize) -> impl Iterator<Item = RowNumber> {
        (0..rows as i64).map(move |row| match self {
            Self::AutoIncrement => RowNumber(-(row * i64::from(writers) + i64::from(owner) + 1)),
            Self::Composite | Self::Text | Self::Binary | Self::Signed => RowNumber(rows as i64 + row),
        })
    }
}

/// Which row of its writer: the row's identity for the model, whatever the spelling of its key. With
/// [`Shape::AutoIncrement`] it is the key itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowNumber(pub i64);

/// Spellings that utf8mb4_0900_ai_ci holds equal.
const SPELLINGS: [&str; 5] = ["strasse", "STRASSE", "Straße", "strässe", "Strásse"];

fn spell(owner: u32, number: RowNumber, rng: &mut StdRng) -> String {
    let word = SPELLINGS.choose(rng).copied().unwrap_or_default();
    format!("{word}-{owner}-{}", number.0)
}

/// A bijection (splitmix64's finaliser), so that neighbours do not stay neighbours.
fn scatter(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A column beside key and owner that the writers fill. It must exist before and after the schema change.
#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    kind: Kind,
    nullable: bool,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Int,
    Varchar { chars: usize },
}

impl Column {
    pub fn int(name: &str) -> Self {
        Self { name: name.to_owned(), kind: Kind::Int, nullable: true }
    }

    /// utf8mb4.
    pub fn varchar(name: &str, chars: usize) -> Self {
        Self { name: name.to_owned(), kind: Kind::Varchar { chars }, nullable: true }
    }

    pub fn not_null(self) -> Self {
        Self { nullable: false, ..self }
    }

    pub fn definition(&self) -> String {
        let null = if self.nullable { "NULL" } else { "NOT NULL" };
        match self.kind {
            Kind::Int => format!("{} int {null}", self.name),
            Kind::Varchar { chars } => format!("{} varchar({chars}) CHARACTER SET utf8mb4 {null}", self.name),
        }
    }

    pub fn random(&self, rng: &mut StdRng) -> Cell {
        if self.nullable && rng.random_ratio(1, 20) {
            return Cell::Null;
        }
        match self.kind {
            Kind::Int => match rng.random_range(0..20) {
                0 => Cell::Int(0),
                1 => Cell::Int(i32::MIN.into()),
                2 => Cell::Int(i32::MAX.into()),
                _ => Cell::Int(rng.random::<i32>().into()),
            },
            Kind::Varchar { chars } => {
                let length = rng.random_range(0..=chars.min(30));
                Cell::Text((0..length).filter_map(|_| ALPHABET.choose(rng)).collect())
            }
        }
    }
}

/// Of one to four bytes, and whatever a careless quoting would stumble over.
const ALPHABET: [char; 20] = [
    'a', 'b', 'c', 'X', 'Y', 'Z', '0', '1', ' ', '\'', '"', '\\', '%', '`', '\n', '\0', 'é', 'ß', '漢', '😀',
];
