//! What the server takes for a blank, for a comment and for quoted text, byte by byte.
//!
//! sqlparser reads other languages too, and is kinder: to it a no-break space is a blank, `--` in front of one begins a comment,
//! and a `$$` text ends somewhere else. What one of the two reads as a comment and the other as words could carry a clause past
//! all that is refused by name. So each text is read in both ways, and refused where they differ.
//!
//! The rules are those of MySQL's scanner (sql/sql_lex.cc) for a text in utf8mb4, where no byte of a longer character looks
//! like ASCII: blanks are those of ASCII; `--` begins a comment only before a blank, a control character or the end; a
//! comment up to the end of the line ends at a line feed; `/* */` do not nest. Texts between dollars, which 9.0 has for
//! programs, are refused.

use std::ops::Range;

use sqlparser::tokenizer::{Token, Whitespace};

use super::refusal::Refusal;

/// What a byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// A blank or a comment.
    Nothing,
    Quoted,
    Words,
}

#[derive(Clone, Copy, Debug)]
pub struct Manner {
    pub ansi_quotes: bool,
    pub no_backslash_escapes: bool,
}

/// The text as the server reads it, to be compared with how it is read otherwise.
pub struct Scanned<'a> {
    text: &'a str,
    parts: Vec<Part>,
}

impl<'a> Scanned<'a> {
    pub fn new(text: &'a str, manner: Manner) -> Result<Self, Refusal> {
        let mut scanner = Scanner { text: text.as_bytes(), at: 0, manner };
        let mut parts = Vec::with_capacity(text.len());
        while scanner.at < text.len() {
            let from = scanner.at;
            let part = scanner.part().map_err(|()| otherwise(text, from))?;
            parts.resize(scanner.at, part);
        }
        Ok(Self { text, parts })
    }

    /// Whether the token there is what the server reads there.
    pub fn agrees(&self, token: &Token, at: Range<usize>) -> Result<(), Refusal> {
        let text = &self.text[at.clone()];
        let (part, prefix) = match token {
            Token::Whitespace(Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_))
            | Token::Whitespace(_) => (Part::Nothing, 0),
            Token::Word(word) if word.quote_style.is_none() => (Part::Words, 0),
            Token::Word(_) | Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) => (Part::Quoted, 0),
            // `N'…'`, `x'…'`, `b'…'`; a number like 0x41 has no quotes.
            Token::NationalStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::SingleQuotedByteStringLiteral(_) => {
                (Part::Quoted, text.find('\'').unwrap_or(text.len()))
            }
            _ => (Part::Words, 0),
        };
        let differs = self.parts[at.clone()].iter().enumerate().position(|(n, is)| match n < prefix {
            true => *is != Part::Words,
            false => *is != part,
        });
        differs.map_or(Ok(()), |n| Err(otherwise(self.text, at.start + n)))
    }
}

/// With some of the text around it, as the sign itself may be one that is not seen.
fn otherwise(text: &str, at: usize) -> Refusal {
    let whole = |at: usize| (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let start = whole(at);
    let from = whole(start.saturating_sub(20));
    let around: String = text[from..].chars().take(40).collect();
    let sign = text[start..].chars().next().unwrap_or(' ');
    Refusal::ReadOtherwise {
        sign: format!("U+{:04X}", u32::from(sign)),
        around: around.escape_debug().to_string(),
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    manner: Manner,
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    /// Goes past the next part. No answer for what no statement has.
    fn part(&mut self) -> Result<Part, ()> {
        let Some(byte) = self.peek(0) else { return Err(()) };
        match (byte, self.peek(1)) {
            (byte, _) if is_blank(byte) => self.at += 1,
            (b'#', _) => self.end_line(),
            (b'-', Some(b'-'))
                if self.peek(2).is_none_or(|next| is_blank(next) || next.is_ascii_control()) =>
            {
                self.end_line();
            }
            (b'/', Some(b'*')) => self.end_comment()?,
            (b'\'' | b'"' | b'`', _) => return self.quoted(byte, self.escapes(byte)).map(|()| Part::Quoted),
            (b'$', _) if self.is_dollar_quote() => return Err(()),
            (byte, _) if byte.is_ascii_control() => return Err(()),
            (byte, _) if is_of_a_name(byte) => return self.name().map(|()| Part::Words),
            _ => {
                self.at += 1;
                return Ok(Part::Words);
            }
        }
        Ok(Part::Nothing)
    }

    fn escapes(&self, quote: u8) -> bool {
        quote != b'`' && !(quote == b'"' && self.manner.ansi_quotes) && !self.manner.no_backslash_escapes
    }

    fn end_line(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    }

    fn end_comment(&mut self) -> Result<(), ()> {
        let from = self.at + 2;
        let end = self.text[from..].windows(2).position(|two| two == b"*/").ok_or(())?;
        self.at = from + end + 2;
        Ok(())
    }

    fn quoted(&mut self, quote: u8, escapes: bool) -> Result<(), ()> {
        self.at += 1;
        loop {
            match (self.peek(0).ok_or(())?, self.peek(1)) {
                (b'\\', _) if escapes => self.at += 2,
                (byte, next) if byte == quote && next == Some(quote) => self.at += 2,
                (byte, _) if byte == quote => {
                    self.at += 1;
                    return Ok(());
                }
                _ => self.at += 1,
            }
        }
    }

    fn name(&mut self) -> Result<(), ()> {
        let rest = &self.text[self.at..];
        self.at += rest.iter().position(|byte| !is_of_a_name(*byte)).unwrap_or(rest.len());
        Ok(())
    }

    /// `$$` or `$tag$` where a word begins.
    fn is_dollar_quote(&self) -> bool {
        let rest = &self.text[self.at + 1..];
        let tag = rest.iter().take_while(|byte| is_of_a_name(**byte) && **byte != b'$').count();
        rest.get(tag) == Some(&b'$')
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::pieces;
    use super::*;
    use crate::schema::sql_mode::SqlMode;

    fn reads(text: &str, mode: &str) -> bool {
        !matches!(
            pieces(text, &SqlMode::new(mode)),
            Err(Refusal::ReadOtherwise { .. } | Refusal::Unterminated(_))
        )
    }

    #[test]
    fn what_the_server_reads_otherwise_is_refused() {
        for text in [
            "add column `\u{a0}v` int, add column c int default (5 --\u{a0}v), drop column d",
            "add v int --",
            "add v int --\u{1}x",
            "add v int $$ , drop column w $$",
            "add v int $a$ x $a$",
            "add v int \0",
            "add v int /* no end",
        ] {
            assert!(!reads(text, ""), "{text:?}");
        }
    }

    #[test]
    fn what_both_read_alike_is_taken() {
        for (text, mode) in [
            ("add v int -- a comment\n, add w int # another\n, add x int /* and ' a third */", ""),
            // To both a part of the name.
            ("add column\u{a0}v int", ""),
            ("add v int default (5 --1)", ""),
            ("add `a``b` int, add `\u{a0}` int comment 'it''s \\' --\u{a0}'", ""),
            ("add v varchar(9) default 'x\\'", "NO_BACKSLASH_ESCAPES"),
            ("add \"a\\\" int", "ANSI_QUOTES"),
            ("add v varchar(9) default \"a\\\"b\"", ""),
            ("add a$b int, add \u{e9}t\u{e9} int", ""),
            (
                "add v varbinary(9) default x'4142', add w bit(3) default b'101', add n char(3) default N'a\\'b'",
                "",
            ),
            ("add v char(3) default _utf8mb4'a''b'", ""),
            ("add v int\t\n\r, drop w", ""),
        ] {
            assert!(reads(text, mode), "{text:?}: {:?}", pieces(text, &SqlMode::new(mode)).err());
        }
    }
}
