//! A statement as the words it is made of, each with its place in the original text.

use std::any::TypeId;

use sqlparser::dialect::{Dialect, MySqlDialect};
use sqlparser::tokenizer::{Location, Token, Tokenizer, Whitespace};

use super::refusal::Refusal;
use super::scanner::{Manner, Scanned};
use crate::schema::sql_mode::SqlMode;

/// MySQL's dialect without the expansion of `/*! … */`: sqlparser 0.63 puts the tokens inside at wrong places in
/// the text. They arrive as comments, and are refused by name.
///
/// Two words of the sql_mode in which the text will run decide where it is to be cut: with ANSI_QUOTES `"a\"` is a name, and with
/// NO_BACKSLASH_ESCAPES `'x\'` is a whole string.
#[derive(Debug)]
struct Words {
    mysql: MySqlDialect,
    ansi_quotes: bool,
    no_backslash_escapes: bool,
}

impl Dialect for Words {
    fn dialect(&self) -> TypeId {
        self.mysql.dialect()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.mysql.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.mysql.is_identifier_part(ch)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.mysql.is_delimited_identifier_start(ch) || (self.ansi_quotes && ch == '"')
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        !self.no_backslash_escapes
    }

    fn supports_numeric_prefix(&self) -> bool {
        self.mysql.supports_numeric_prefix()
    }

    fn requires_single_line_comment_whitespace(&self) -> bool {
        self.mysql.requires_single_line_comment_whitespace()
    }
}

/// One word, name, literal or sign.
#[derive(Clone, Debug)]
pub struct Piece<'a> {
    token: Token,
    /// As written.
    pub text: &'a str,
    /// The byte of the whole text at which it begins.
    pub start: usize,
}

impl Piece<'_> {
    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether it is this keyword: a quoted word never is.
    pub fn is(&self, keyword: &str) -> bool {
        self.keyword().is_some_and(|word| word.eq_ignore_ascii_case(keyword))
    }

    pub fn is_any(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is(keyword))
    }

    /// The word, if it is written without quotes.
    pub fn keyword(&self) -> Option<&str> {
        match &self.token {
            Token::Word(word) if word.quote_style.is_none() => Some(&word.value),
            _ => None,
        }
    }

    /// What it means where the grammar has a name: a plain word, `` `…` ``, or "…" (for ANSI_QUOTES; elsewhere the
    /// server refuses it, as that is a string).
    pub fn name(&self) -> Option<String> {
        match &self.token {
            Token::Word(word) => Some(word.value.clone()),
            // Taken from the text, as the token's value has lost backslashes, which a name keeps.
            Token::DoubleQuotedString(_) => {
                let inner = self.text.strip_prefix('"')?.strip_suffix('"')?;
                Some(inner.replace("\"\"", "\""))
            }
            _ => None,
        }
    }

    /// What it means where the grammar has a name or a string.
    pub fn value(&self) -> Option<String> {
        match &self.token {
            Token::SingleQuotedString(text) => Some(text.clone()),
            _ => self.name(),
        }
    }

    pub fn is_sign(&self, sign: Token) -> bool {
        self.token == sign
    }
}

/// The text without white space and comments.
///
/// Apart from them, why it cannot be read so: the first comment that the server does not take for one.
pub fn pieces<'a>(text: &'a str, mode: &SqlMode) -> Result<(Vec<Piece<'a>>, Option<Refusal>), Refusal> {
    let dialect = Words {
        mysql: MySqlDialect {},
        ansi_quotes: mode.has("ANSI_QUOTES"),
        no_backslash_escapes: mode.has("NO_BACKSLASH_ESCAPES"),
    };
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location().map_err(Refusal::Unterminated)?;
    let manner =
        Manner { ansi_quotes: dialect.ansi_quotes, no_backslash_escapes: dialect.no_backslash_escapes };
    let scanned = Scanned::new(text, manner)?;
    let mut cursor = Cursor { text, byte: 0, at: Location::new(1, 1) };
    let mut pieces = Vec::with_capacity(tokens.len());
    let mut hidden = None;
    for token in tokens {
        // Tokens follow each other without a gap, so one walk over the text finds all their ends.
        let start = cursor.byte;
        let text = cursor.advance_to(token.span.end);
        scanned.agrees(&token.token, start..cursor.byte)?;
        match token.token {
            Token::Whitespace(Whitespace::MultiLineComment(comment)) => {
                hidden = hidden.or_else(|| hidden_meaning(&comment, text));
            }
            Token::Whitespace(_) => {}
            token => pieces.push(Piece { token, text, start }),
        }
    }
    Ok((pieces, hidden))
}

/// Comments that the server does not take for comments.
fn hidden_meaning(comment: &str, text: &str) -> Option<Refusal> {
    match comment.chars().next() {
        Some('!') => Some(Refusal::VersionComment(text.into())),
        Some('+') => Some(Refusal::Hint(text.into())),
        _ => None,
    }
}

/// From the tokenizer's lines and characters to bytes, counted as it counts them.
struct Cursor<'a> {
    text: &'a str,
    byte: usize,
    at: Location,
}

impl<'a> Cursor<'a> {
    fn advance_to(&mut self, to: Location) -> &'a str {
        let rest = &self.text[self.byte..];
        let mut length = 0;
        for ch in rest.chars() {
            if (self.at.line, self.at.column) >= (to.line, to.column) {
                break;
            }
            length += ch.len_utf8();
            self.at = match ch {
                '\n' => Location::new(self.at.line + 1, 1),
                _ => Location::new(self.at.line, self.at.column + 1),
            };
        }
        self.byte += length;
        &rest[..length]
    }
}

/// Whether every parenthesis that opens is closed, and none closes that is not open.
pub fn balanced(pieces: &[Piece<'_>]) -> bool {
    let mut depth = 0usize;
    for piece in pieces {
        if piece.is_sign(Token::LParen) {
            depth += 1;
        } else if piece.is_sign(Token::RParen) {
            match depth.checked_sub(1) {
                Some(outer) => depth = outer,
                None => return false,
            }
        }
    }
    depth == 0
}

/// The parts between the commas that are in no parentheses. `pieces` are balanced.
pub fn split_at_commas<'p, 'a>(pieces: &'p [Piece<'a>]) -> Vec<&'p [Piece<'a>]> {
    let mut depth = 0usize;
    pieces
        .split(|piece| {
            if piece.is_sign(Token::LParen) {
                depth += 1;
            } else if piece.is_sign(Token::RParen) {
                depth = depth.saturating_sub(1);
            }
            depth == 0 && piece.is_sign(Token::Comma)
        })
        .collect()
}

/// How many pieces the parenthesis takes that opens at the first of them. `pieces` are balanced.
pub fn group_length(pieces: &[Piece<'_>]) -> usize {
    let mut depth = 0usize;
    for (at, piece) in pieces.iter().enumerate() {
        if piece.is_sign(Token::LParen) {
            depth += 1;
        } else if piece.is_sign(Token::RParen) {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            return at + 1;
        }
    }
    pieces.len()
}
