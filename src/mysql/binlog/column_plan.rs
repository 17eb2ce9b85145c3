//! Cutting row images, and their fields, out of rows events.
//!
//! A rows event is a sequence of images without lengths: where one ends follows only from the width of every
//! column before it. So a [`ColumnPlan`] is made once per TABLE_MAP event, and everything after that is slicing.
//!
//! What makes the slices right: the plan was checked against the schema ([`super::wire_type`]); every event is
//! asked whether all columns are present, because any client may set `binlog_row_image` for its own session;
//! partial JSON updates are refused, because they cannot be understood without the row they change; and an event
//! must end exactly where its last image does.
//!
//! An image is kept as bytes. Two images are the same row exactly if their bytes are equal; but keys with
//! different bytes may still be equal to a unique index: `a` and `A` under most collations, `-0e0` and `0e0`.
//! A caller that tracks rows by [`ColumnPlan::key_bytes`] has to keep the order of such rows by other means.

use mysql_async::binlog::events::{RowsEventData, TableMapEvent};

use super::literal::Codec;
use super::raw::{cut, little_endian};
use super::wire_type::{PlanMismatch, WireType, wire_types};
use crate::rows::written::Written;
use crate::schema::table::Column;

/// Why rows cannot be read. None of these goes away by trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("a row event has only some of the columns (a session with binlog_row_image other than FULL)")]
    PartialImage,
    #[error("a row event has only parts of JSON values (binlog_row_value_options=PARTIAL_JSON)")]
    PartialJson,
    #[error("a row event cannot be read: {0}")]
    Malformed(&'static str),
}

/// What happened to one row; every image is complete and starts with its null bitmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowChange<'a> {
    Insert(&'a [u8]),
    Update { before: &'a [u8], after: &'a [u8] },
    Delete(&'a [u8]),
}

/// The raw bytes of each column, without length prefixes; `None` is NULL.
pub type Fields<'a> = Vec<Option<&'a [u8]>>;

/// How to read the rows that follow one TABLE_MAP event. Valid for its table id.
#[derive(Debug)]
pub struct ColumnPlan {
    widths: Box<[Width]>,
    codecs: Box<[Codec]>,
    null_bitmap_len: usize,
}

#[derive(Clone, Copy, Debug)]
enum Width {
    Fixed(u16),
    /// So many bytes say the length of what follows.
    Prefixed(u8),
}

impl ColumnPlan {
    /// `columns` are all of the table's, in `information_schema` order, generated and invisible ones too.
    pub fn new(map: &TableMapEvent<'_>, columns: &[Column]) -> Result<Self, PlanMismatch> {
        Ok(Self::of(&wire_types(map, columns)?, columns))
    }

    pub(super) fn of(types: &[WireType], columns: &[Column]) -> Self {
        Self {
            widths: types.iter().map(|wire| Width::of(*wire)).collect(),
            codecs: types.iter().zip(columns).map(|(wire, column)| Codec::of(*wire, column)).collect(),
            null_bitmap_len: types.len().div_ceil(8),
        }
    }

    /// The rows of an event of this plan's table.
    pub fn rows<'p, 'e>(&'p self, event: &'e RowsEventData<'_>) -> Result<Rows<'p, 'e>, RowError> {
        let kind = match event {
            RowsEventData::WriteRowsEvent(_) | RowsEventData::WriteRowsEventV1(_) => Kind::Write,
            RowsEventData::UpdateRowsEvent(_) | RowsEventData::UpdateRowsEventV1(_) => Kind::Update,
            RowsEventData::DeleteRowsEvent(_) | RowsEventData::DeleteRowsEventV1(_) => Kind::Delete,
            RowsEventData::PartialUpdateRowsEvent(_) => return Err(RowError::PartialJson),
        };
        if event.num_columns() != self.widths.len() as u64 {
            return Err(RowError::Malformed("its number of columns is not the table's"));
        }
        let before = event.columns_before_image().is_none_or(|present| present.all());
        let after = event.columns_after_image().is_none_or(|present| present.all());
        if !(before && after) {
            return Err(RowError::PartialImage);
        }
        Ok(Rows { plan: self, kind, rest: event.rows_data() })
    }

    /// The fields of an image that [`Self::rows`] yielded.
    pub fn fields<'a>(&self, image: &'a [u8]) -> Result<Fields<'a>, RowError> {
        let mut fields = Vec::with_capacity(self.widths.len());
        self.fields_into(image, &mut fields)?;
        Ok(fields)
    }

    /// [`Self::fields`] into a vector that is used again for many rows.
    pub fn fields_into<'a>(&self, image: &'a [u8], fields: &mut Fields<'a>) -> Result<(), RowError> {
        fields.clear();
        let mut cursor = Cursor::new(self, image)?;
        for _ in 0..self.widths.len() {
            fields.push(cursor.next()?);
        }
        if cursor.rest.is_empty() { Ok(()) } else { Err(RowError::Malformed("bytes follow the last column")) }
    }

    /// Appends the values of these columns, in this order, so that two keys have the same bytes exactly if all
    /// their values do: each value as its length plus one (four bytes) and its raw bytes, NULL as length zero.
    /// After an error `out` is as before.
    pub fn key_bytes(&self, image: &[u8], columns: &[usize], out: &mut Vec<u8>) -> Result<(), RowError> {
        let start = out.len();
        let written = self.append_key(image, columns, out);
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    /// The values that [`Self::key_bytes`] wrote, in its order.
    pub fn key_fields(mut key: &[u8]) -> Result<Fields<'_>, RowError> {
        let mut fields = Vec::new();
        while !key.is_empty() {
            let length = little_endian(cut(&mut key, 4).ok_or(TRUNCATED)?);
            fields.push(match usize::try_from(length).ok().and_then(|n| n.checked_sub(1)) {
                None => None,
                Some(length) => Some(cut(&mut key, length).ok_or(TRUNCATED)?),
            });
        }
        Ok(fields)
    }

    /// Ascending columns, the usual case, take one walk that ends at the last of them.
    fn append_key(&self, image: &[u8], columns: &[usize], out: &mut Vec<u8>) -> Result<(), RowError> {
        let mut cursor = Cursor::new(self, image)?;
        for &column in columns {
            if column < cursor.column {
                cursor = Cursor::new(self, image)?;
            }
            while cursor.column < column {
                cursor.next()?;
            }
            let Some(value) = cursor.next()? else {
                out.extend_from_slice(&[0; 4]);
                continue;
            };
            let length = u32::try_from(value.len() + 1).map_err(|_| RowError::Malformed("a key too long"))?;
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(value);
        }
        Ok(())
    }

    /// Which of `columns` differ between the two images of one update.
    pub fn written(&self, before: &[u8], after: &[u8], columns: &[usize]) -> Result<Written, RowError> {
        if columns.is_empty() {
            return Ok(Written::ALL);
        }
        let (before, after) = (self.fields(before)?, self.fields(after)?);
        Ok(Written::of(columns.iter().map(|&column| before.get(column) != after.get(column))))
    }

    /// Appends an SQL expression that stores exactly this value in a column of the same type; see
    /// [`super::literal`]. After an error `out` may end in half an expression.
    pub fn write_literal(
        &self,
        column: usize,
        field: Option<&[u8]>,
        out: &mut String,
    ) -> Result<(), RowError> {
        let codec = self.codecs.get(column).ok_or(RowError::Malformed("no such column"))?;
        match field {
            Some(bytes) => codec.write(bytes, out),
            None => {
                out.push_str("NULL");
                Ok(())
            }
        }
    }

    fn cut_image<'a>(&self, rest: &mut &'a [u8]) -> Result<&'a [u8], RowError> {
        let mut cursor = Cursor::new(self, rest)?;
        for _ in 0..self.widths.len() {
            cursor.next()?;
        }
        let len = rest.len() - cursor.rest.len();
        cut(rest, len).ok_or(TRUNCATED)
    }
}

const TRUNCATED: RowError = RowError::Malformed("it ends inside a row");

impl Width {
    fn of(wire: WireType) -> Self {
        match wire {
            WireType::Int { bytes } | WireType::Bit { bytes } => Self::Fixed(bytes.into()),
            WireType::Enum { bytes } | WireType::Set { bytes } => Self::Fixed(bytes.into()),
            WireType::Float => Self::Fixed(4),
            WireType::Double => Self::Fixed(8),
            WireType::Decimal { precision, scale } => Self::Fixed(super::decimal::width(precision, scale)),
            WireType::Year => Self::Fixed(1),
            WireType::Date => Self::Fixed(3),
            WireType::Time { digits } => Self::Fixed(3 + fraction_bytes(digits)),
            WireType::Timestamp { digits } => Self::Fixed(4 + fraction_bytes(digits)),
            WireType::DateTime { digits } => Self::Fixed(5 + fraction_bytes(digits)),
            WireType::Char { bytes_max } | WireType::VarChar { bytes_max } => {
                Self::Prefixed(if bytes_max < 256 { 1 } else { 2 })
            }
            WireType::Blob { length_bytes }
            | WireType::Json { length_bytes }
            | WireType::Geometry { length_bytes }
            | WireType::Vector { length_bytes } => Self::Prefixed(length_bytes),
        }
    }

    fn cut<'a>(self, rest: &mut &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Fixed(len) => cut(rest, len.into()),
            Self::Prefixed(bytes) => {
                let len = little_endian(cut(rest, bytes.into())?);
                cut(rest, usize::try_from(len).ok()?)
            }
        }
    }
}

fn fraction_bytes(digits: u8) -> u16 {
    u16::from(digits.div_ceil(2))
}

/// A walk over the columns of one image, whose end need not be known yet.
struct Cursor<'p, 'a> {
    widths: &'p [Width],
    nulls: &'a [u8],
    rest: &'a [u8],
    column: usize,
}

impl<'p, 'a> Cursor<'p, 'a> {
    fn new(plan: &'p ColumnPlan, image: &'a [u8]) -> Result<Self, RowError> {
        let (nulls, rest) = image.split_at_checked(plan.null_bitmap_len).ok_or(TRUNCATED)?;
        Ok(Self { widths: &plan.widths, nulls, rest, column: 0 })
    }

    fn next(&mut self) -> Result<Option<&'a [u8]>, RowError> {
        let width = self.widths.get(self.column).ok_or(RowError::Malformed("no such column"))?;
        // The bitmap has a bit for every column, and there is a column.
        let null = self.nulls[self.column / 8] >> (self.column % 8) & 1 == 1;
        self.column += 1;
        if null { Ok(None) } else { width.cut(&mut self.rest).map(Some).ok_or(TRUNCATED) }
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Write,
    Update,
    Delete,
}

/// The rows of one event, in its order. Ends after the first error.
#[derive(Debug)]
pub struct Rows<'p, 'e> {
    plan: &'p ColumnPlan,
    kind: Kind,
    rest: &'e [u8],
}

impl<'e> Rows<'_, 'e> {
    fn change(&mut self) -> Result<RowChange<'e>, RowError> {
        let first = self.plan.cut_image(&mut self.rest)?;
        Ok(match self.kind {
            Kind::Write => RowChange::Insert(first),
            Kind::Delete => RowChange::Delete(first),
            Kind::Update => RowChange::Update { before: first, after: self.plan.cut_image(&mut self.rest)? },
        })
    }
}

impl<'e> Iterator for Rows<'_, 'e> {
    type Item = Result<RowChange<'e>, RowError>;

    // Each image takes at least one byte (a table has a column, so the bitmap a byte): this ends.
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let change = self.change();
        if change.is_err() {
            self.rest = &[];
        }
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan(types: &[WireType]) -> ColumnPlan {
        let column = Column {
            name: "c".into(),
            data_type: "varchar".into(),
            column_type: "varchar(20)".into(),
            charset: Some("latin1".into()),
            collation: None,
            nullable: true,
            default: None,
            extra: String::new(),
            generated: false,
        };
        ColumnPlan::of(types, &vec![column; types.len()])
    }

    fn two_columns() -> ColumnPlan {
        plan(&[WireType::Int { bytes: 3 }, WireType::VarChar { bytes_max: 20 }])
    }

    fn rows<'p, 'e>(plan: &'p ColumnPlan, kind: Kind, rest: &'e [u8]) -> Rows<'p, 'e> {
        Rows { plan, kind, rest }
    }

    const ROW: &[u8] = &[0b00, 1, 2, 3, 2, b'h', b'i'];
    const ROW_WITH_NULL: &[u8] = &[0b10, 9, 9, 9];

    #[test]
    fn images_are_cut_where_their_columns_end() {
        let both = [ROW, ROW_WITH_NULL].concat();
        let plan = two_columns();
        let inserts: Vec<_> = rows(&plan, Kind::Write, &both).collect();
        assert_eq!(inserts, [Ok(RowChange::Insert(ROW)), Ok(RowChange::Insert(ROW_WITH_NULL))]);
        let updates: Vec<_> = rows(&plan, Kind::Update, &both).collect();
        assert_eq!(updates, [Ok(RowChange::Update { before: ROW, after: ROW_WITH_NULL })]);
        let deletes: Vec<_> = rows(&plan, Kind::Delete, ROW).collect();
        assert_eq!(deletes, [Ok(RowChange::Delete(ROW))]);
    }

    #[test]
    fn an_event_that_ends_inside_a_row_is_an_error_and_the_last_item() {
        let plan = two_columns();
        for len in 1..ROW.len() {
            let all: Vec<_> = rows(&plan, Kind::Write, &ROW[..len]).collect();
            assert_eq!(all, [Err(TRUNCATED)]);
        }
        let update: Vec<_> = rows(&plan, Kind::Update, ROW).collect();
        assert_eq!(update, [Err(TRUNCATED)]);
    }

    #[test]
    fn fields_come_without_length_prefix() {
        let plan = two_columns();
        assert_eq!(plan.fields(ROW).unwrap(), [Some(&[1, 2, 3][..]), Some(b"hi")]);
        assert_eq!(plan.fields(ROW_WITH_NULL).unwrap(), [Some(&[9, 9, 9][..]), None]);
        assert!(plan.fields(&[ROW, &[0]].concat()).is_err());
    }

    #[test]
    fn key_bytes_keep_the_order_asked_for_and_tell_null_from_empty() {
        let plan = two_columns();
        let key = |image: &[u8], columns: &[usize]| {
            let mut out = Vec::new();
            plan.key_bytes(image, columns, &mut out).map(|()| out)
        };
        assert_eq!(key(ROW, &[0, 1]).unwrap(), [4, 0, 0, 0, 1, 2, 3, 3, 0, 0, 0, b'h', b'i']);
        assert_eq!(key(ROW, &[1, 0]).unwrap(), [3, 0, 0, 0, b'h', b'i', 4, 0, 0, 0, 1, 2, 3]);
        assert_eq!(key(ROW_WITH_NULL, &[1]).unwrap(), [0; 4]);
        assert_eq!(key(&[0, 9, 9, 9, 0], &[1]).unwrap(), [1, 0, 0, 0]);
        assert!(key(ROW, &[2]).is_err());
    }

    fn any_type() -> impl Strategy<Value = WireType> {
        prop_oneof![
            prop::sample::select(vec![1u8, 2, 3, 4, 8]).prop_map(|bytes| WireType::Int { bytes }),
            Just(WireType::Float),
            Just(WireType::Double),
            (0..=65u8, 0..=30u8).prop_map(|(p, s)| WireType::Decimal { precision: p, scale: s.min(p) }),
            Just(WireType::Year),
            Just(WireType::Date),
            (0..=6u8).prop_map(|digits| WireType::Time { digits }),
            (0..=6u8).prop_map(|digits| WireType::DateTime { digits }),
            (0..=6u8).prop_map(|digits| WireType::Timestamp { digits }),
            (0..=8u8).prop_map(|bytes| WireType::Bit { bytes }),
            (1..=2u8).prop_map(|bytes| WireType::Enum { bytes }),
            (1..=8u8).prop_map(|bytes| WireType::Set { bytes }),
            (0..=1020u16).prop_map(|bytes_max| WireType::Char { bytes_max }),
            any::<u16>().prop_map(|bytes_max| WireType::VarChar { bytes_max }),
            (1..=4u8).prop_map(|length_bytes| WireType::Blob { length_bytes }),
            Just(WireType::Json { length_bytes: 4 }),
            Just(WireType::Json { length_bytes: 1 }),
            Just(WireType::Geometry { length_bytes: 4 }),
            Just(WireType::Vector { length_bytes: 4 }),
        ]
    }

    proptest! {
        #[test]
        fn no_bytes_panic(types in prop::collection::vec(any_type(), 1..20), bytes: Vec<u8>, kind in 0..3u8) {
            let plan = plan(&types);
            let kind = [Kind::Write, Kind::Update, Kind::Delete][usize::from(kind)];
            for change in rows(&plan, kind, &bytes) {
                let (RowChange::Insert(image) | RowChange::Delete(image) | RowChange::Update { after: image, .. }) =
                    match change { Ok(change) => change, Err(_) => break };
                let fields = plan.fields(image).expect("a yielded image has all its fields");
                for (column, field) in fields.iter().enumerate() {
                    let _ = plan.write_literal(column, *field, &mut String::new());
                }
            }
            let _ = plan.fields(&bytes);
            let _ = plan.key_bytes(&bytes, &[types.len(), 0], &mut Vec::new());
        }

        #[test]
        fn no_field_of_a_wrong_length_panics(wire in any_type(), bytes: Vec<u8>) {
            let _ = plan(&[wire]).write_literal(0, Some(&bytes), &mut String::new());
        }
    }
}
