//! JSON values as an expression that builds the same document again.
//!
//! Text would not do: a document may contain what text cannot tell from strings and numbers (decimals, dates,
//! times, blobs, bits), and 1 differs from 1 UNSIGNED. So containers become `JSON_OBJECT(…)` and `JSON_ARRAY(…)`, and
//! the values inside become expressions of the type that the server tags the same way ([`super::json_scalar`]).
//! The server chooses sizes and offsets from the values, so equal values give equal bytes. A scalar document is
//! taken out of an array, because a bare `1` or `'a'` would be read as text, and NULL as no document.
//!
//! The stored form: a type byte, then for containers: number of elements, size in bytes, the entries of the keys
//! (offset, length), the entries of the values (type, offset or the value itself if it is small), then the bytes
//! they point to. Counts and offsets take two bytes in a small container, four in a large one; offsets count
//! from the container's start.
//!
//! Hostile bytes: depth is limited (the server's limit is 100), every access is checked, and the sizes of all
//! values visited may not exceed the document's, so that entries pointing to the same place many times end the
//! walk instead of multiplying.

use super::column_plan::RowError;
use super::json_scalar;
use super::raw::{cut, little_endian};

pub(super) const MALFORMED: RowError = RowError::Malformed("a JSON document that does not hold together");

/// Of the server; it refuses to store what is deeper.
const DEPTH_MAX: u32 = 100;

const SMALL_OBJECT: u8 = 0;
const LARGE_OBJECT: u8 = 1;
const SMALL_ARRAY: u8 = 2;
const LARGE_ARRAY: u8 = 3;
const LITERAL: u8 = 4;
const INT16: u8 = 5;
const UINT16: u8 = 6;
const INT32: u8 = 7;
const UINT32: u8 = 8;
const INT64: u8 = 9;
const UINT64: u8 = 10;
const DOUBLE: u8 = 11;
const STRING: u8 = 12;
const OPAQUE: u8 = 15;

/// An empty field is what the server stores, and reads, as a JSON null (INSERT IGNORE of NULL).
pub(super) fn write(field: &[u8], out: &mut String) -> Result<(), RowError> {
    let (tag, data) = field.split_first().unwrap_or((&LITERAL, &[0]));
    let mut walk = Walk { out, bytes_left: field.len().max(1) };
    if *tag <= LARGE_ARRAY {
        return walk.value(*tag, data, 1);
    }
    walk.out.push_str("JSON_EXTRACT(JSON_ARRAY(");
    walk.value(*tag, data, 1)?;
    walk.out.push_str("),'$[0]')");
    Ok(())
}

struct Walk<'o> {
    out: &'o mut String,
    /// What the rest of the document may still take.
    bytes_left: usize,
}

impl Walk<'_> {
    fn spend(&mut self, bytes: usize) -> Result<(), RowError> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(MALFORMED)?;
        Ok(())
    }

    fn value(&mut self, tag: u8, data: &[u8], depth: u32) -> Result<(), RowError> {
        self.spend(1)?;
        match tag {
            SMALL_OBJECT => self.object(Container::new(data, 2)?, depth),
            LARGE_OBJECT => self.object(Container::new(data, 4)?, depth),
            SMALL_ARRAY => self.array(Container::new(data, 2)?, depth),
            LARGE_ARRAY => self.array(Container::new(data, 4)?, depth),
            _ => self.scalar(tag, data),
        }
    }

    fn array(&mut self, array: Container<'_>, depth: u32) -> Result<(), RowError> {
        self.out.push_str("JSON_ARRAY(");
        for index in 0..array.count {
            if index > 0 {
                self.out.push(',');
            }
            self.element(&array, array.header + index * (array.width + 1), depth)?;
        }
        self.out.push(')');
        Ok(())
    }

    fn object(&mut self, object: Container<'_>, depth: u32) -> Result<(), RowError> {
        let values = object.header + object.count * (object.width + 2);
        self.out.push_str("JSON_OBJECT(");
        for index in 0..object.count {
            if index > 0 {
                self.out.push(',');
            }
            let key = object.key(index)?;
            self.spend(key.len())?;
            json_scalar::write_string(key, self.out);
            self.out.push(',');
            self.element(&object, values + index * (object.width + 1), depth)?;
        }
        self.out.push(')');
        Ok(())
    }

    fn element(&mut self, parent: &Container<'_>, entry: usize, depth: u32) -> Result<(), RowError> {
        if depth > DEPTH_MAX {
            return Err(RowError::Malformed("a JSON document deeper than the server allows"));
        }
        let (tag, data) = parent.value(entry)?;
        self.value(tag, data, depth + 1)
    }

    /// `data` begins with the value and may go on after it.
    fn scalar(&mut self, tag: u8, mut data: &[u8]) -> Result<(), RowError> {
        let number = |data: &mut &[u8], bytes| cut(data, bytes).map(little_endian).ok_or(MALFORMED);
        match tag {
            LITERAL => json_scalar::write_literal(number(&mut data, 1)?, self.out)?,
            INT16 => json_scalar::write_signed((number(&mut data, 2)? as i16).into(), self.out),
            INT32 => json_scalar::write_signed((number(&mut data, 4)? as i32).into(), self.out),
            INT64 => json_scalar::write_signed(number(&mut data, 8)? as i64, self.out),
            UINT16 => json_scalar::write_unsigned(number(&mut data, 2)?, self.out),
            UINT32 => json_scalar::write_unsigned(number(&mut data, 4)?, self.out),
            UINT64 => json_scalar::write_unsigned(number(&mut data, 8)?, self.out),
            DOUBLE => super::literal::put_double(self.out, f64::from_bits(number(&mut data, 8)?))?,
            STRING => {
                let text = self.counted(data)?;
                json_scalar::write_string(text, self.out);
            }
            OPAQUE => {
                let (column_type, rest) = data.split_first().ok_or(MALFORMED)?;
                let bytes = self.counted(rest)?;
                json_scalar::write_opaque(*column_type, bytes, self.out)?;
            }
            _ => return Err(MALFORMED),
        }
        Ok(())
    }

    /// Bytes after their length: seven bits a byte, least significant first, the high bit says that more follow.
    fn counted<'a>(&mut self, data: &'a [u8]) -> Result<&'a [u8], RowError> {
        let mut length = 0;
        for (index, byte) in data.iter().take(5).enumerate() {
            length |= usize::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                let bytes = data[index + 1..].get(..length).ok_or(MALFORMED)?;
                self.spend(length)?;
                return Ok(bytes);
            }
        }
        Err(MALFORMED)
    }
}

/// An object or array, cut to its own size.
struct Container<'a> {
    data: &'a [u8],
    /// Bytes of a count, size or offset.
    width: usize,
    count: usize,
    /// Where the entries begin.
    header: usize,
}

impl<'a> Container<'a> {
    fn new(data: &'a [u8], width: usize) -> Result<Self, RowError> {
        let mut rest = data;
        let mut number = || cut(&mut rest, width).map(|bytes| little_endian(bytes) as usize).ok_or(MALFORMED);
        let (count, size) = (number()?, number()?);
        // A value's entry takes width + 1 bytes: more of them than bytes cannot be, and no product below overflows.
        let data = data.get(..size).filter(|data| count <= data.len()).ok_or(MALFORMED)?;
        Ok(Self { data, width, count, header: 2 * width })
    }

    fn key(&self, index: usize) -> Result<&'a [u8], RowError> {
        let mut entry = self.data.get(self.header + index * (self.width + 2)..).ok_or(MALFORMED)?;
        let offset = cut(&mut entry, self.width).map(little_endian).ok_or(MALFORMED)? as usize;
        let length = cut(&mut entry, 2).map(little_endian).ok_or(MALFORMED)? as usize;
        self.data.get(offset..).and_then(|from| from.get(..length)).ok_or(MALFORMED)
    }

    /// The type of a value and the bytes that begin with it.
    fn value(&self, entry: usize) -> Result<(u8, &'a [u8]), RowError> {
        let (tag, inline) = self.data.get(entry..).and_then(<[u8]>::split_first).ok_or(MALFORMED)?;
        let inline = inline.get(..self.width).ok_or(MALFORMED)?;
        let is_inline = match *tag {
            LITERAL | INT16 | UINT16 => true,
            INT32 | UINT32 => self.width == 4,
            _ => false,
        };
        if is_inline {
            return Ok((*tag, inline));
        }
        let at = little_endian(inline) as usize;
        Ok((*tag, self.data.get(at..).ok_or(MALFORMED)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(field: &[u8]) -> Result<String, RowError> {
        let mut out = String::new();
        write(field, &mut out).map(|()| out)
    }

    /// As the server stores it: `{"a": 1, "b": [true, "x"]}`.
    const DOCUMENT: &[u8] = &[
        SMALL_OBJECT,
        2,
        0,
        34,
        0, // two members, 34 bytes
        18,
        0,
        1,
        0,
        19,
        0,
        1,
        0, // keys at 18 and 19
        INT16,
        1,
        0,
        SMALL_ARRAY,
        20,
        0, // 1, and an array at 20
        b'a',
        b'b', //
        2,
        0,
        12,
        0,
        LITERAL,
        1,
        0,
        STRING,
        10,
        0,
        1,
        b'x', // the array
        0,
        0,
    ];

    #[test]
    fn containers_become_calls() {
        assert_eq!(
            text(DOCUMENT).unwrap(),
            "JSON_OBJECT(_utf8mb4 x'61',1,_utf8mb4 x'62',JSON_ARRAY(true,_utf8mb4 x'78'))"
        );
        assert_eq!(text(&[SMALL_ARRAY, 0, 0, 4, 0]).unwrap(), "JSON_ARRAY()");
        assert_eq!(text(&[SMALL_OBJECT, 0, 0, 4, 0]).unwrap(), "JSON_OBJECT()");
    }

    #[test]
    fn a_scalar_document_is_taken_out_of_an_array() {
        let scalar = |inner: &str| format!("JSON_EXTRACT(JSON_ARRAY({inner}),'$[0]')");
        assert_eq!(text(&[]).unwrap(), scalar("NULL"));
        assert_eq!(text(&[LITERAL, 0]).unwrap(), scalar("NULL"));
        assert_eq!(text(&[INT16, 0xff, 0xff]).unwrap(), scalar("-1"));
        assert_eq!(text(&[UINT16, 0xff, 0xff]).unwrap(), scalar("CAST(65535 AS UNSIGNED)"));
        let min = [&[INT64][..], &i64::MIN.to_le_bytes()].concat();
        assert_eq!(text(&min).unwrap(), scalar("CAST(-9223372036854775808 AS SIGNED)"));
        let zero = [&[DOUBLE][..], &(-0f64).to_le_bytes()].concat();
        assert_eq!(text(&zero).unwrap(), scalar("-0e0"));
        assert_eq!(text(&[STRING, 0]).unwrap(), scalar("_utf8mb4 ''"));
    }

    #[test]
    fn opaque_values_become_the_type_they_were() {
        let opaque = |tag: u8, data: &[u8]| {
            let bytes = [&[OPAQUE, tag, data.len() as u8], data].concat();
            let all = text(&bytes).unwrap();
            all["JSON_EXTRACT(JSON_ARRAY(".len()..all.len() - "),'$[0]')".len()].to_owned()
        };
        assert_eq!(opaque(246, &[3, 2, 0x81, 10]), "1.10");
        assert_eq!(opaque(253, &[0x65, 0xe5]), "_ucs2 x'65e5'");
        assert_eq!(opaque(253, &[0x65]), "x'65'");
        assert_eq!(opaque(15, &[0, 255]), "x'00ff'");
        assert_eq!(opaque(15, &[]), "x''");
        assert_eq!(opaque(11, &(-1i64).to_le_bytes()), "CAST('-00:00:00.000001' AS TIME(6))");
        assert_eq!(opaque(10, &[0; 8]), "CAST('0000-00-00' AS DATE)");
        assert!(opaque(249, &[1]).contains("JSON_ARRAY(x'01'),'$[*]' COLUMNS(c TINYBLOB PATH '$')"));
        assert!(opaque(16, &[2, 1]).contains("JSON_ARRAY(513),'$[*]' COLUMNS(c BIT(16) PATH '$')"));
    }

    #[test]
    fn a_document_that_multiplies_or_nests_without_end_is_an_error() {
        // Eight elements that all point to the same place, where the next such array begins.
        let mut bomb = vec![SMALL_ARRAY];
        for _ in 0..90 {
            bomb.extend([8, 0, 0xff, 0x7f]);
            bomb.extend([SMALL_ARRAY, 28, 0].repeat(8));
        }
        bomb.resize(1 << 16, 0);
        assert!(text(&bomb).is_err());
        let inside_itself = [SMALL_ARRAY, 1, 0, 7, 0, SMALL_ARRAY, 0, 0];
        assert!(text(&inside_itself).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes: Vec<u8>, tag in 0..16u8) {
            let _ = text(&bytes);
            if let Some(first) = bytes.first_mut() { *first = tag; }
            let _ = text(&bytes);
        }

        #[test]
        fn no_damaged_document_panics(at in 0..DOCUMENT.len(), to: u8, end in 0..=DOCUMENT.len()) {
            let mut bytes = DOCUMENT.to_vec();
            bytes[at] = to;
            let _ = text(&bytes[..end]);
        }
    }
}
