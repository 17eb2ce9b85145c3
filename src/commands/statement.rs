//! The operator's statement, as it was typed, or from a file or standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::cli::Migrate;
use crate::error::{Error, Told};

/// A statement is shorter. What is no file with an end, such as a device, is not read for ever.
const BYTES_MAX: u64 = 1 << 20;

impl Migrate {
    /// `None` for a change that is resumed.
    pub(super) fn statement(&self) -> Result<Option<String>, Error> {
        match (&self.alter, &self.alter_file) {
            (Some(text), _) => Ok(Some(text.clone())),
            (None, Some(path)) => read(path).map(Some).map_err(|why| {
                let from = if is_stdin(path) { "standard input".into() } else { path.display().to_string() };
                Error::Usage(
                    Told::new(format!("the statement cannot be read from {from}: {why}"))
                        .state("nothing was touched")
                        .next("name a file with one ALTER, CREATE or DROP TABLE; `-` is standard input"),
                )
            }),
            (None, None) => Ok(None),
        }
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = match is_stdin(path) {
        true => limited(io::stdin().lock()),
        false => File::open(path).and_then(limited),
    };
    let bytes = bytes.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(format!("it is longer than {BYTES_MAX} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    // As some editors write it.
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
}

fn limited(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
