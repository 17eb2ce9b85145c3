//! The log: where it goes, in which form, and from which level on.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::cli::{Cli, Format};
use crate::error::{Error, Told};

/// Once, before anything is done. What goes wrong here has touched nothing.
pub fn begin(cli: &Cli) -> Result<(), Error> {
    // What is told anyway is not told twice on one terminal.
    let usual = if cli.log_file.is_some() { "info" } else { "warn,rsc::told=off" };
    let level = cli.log_level.as_deref().unwrap_or(usual);
    let filter = EnvFilter::try_new(level).map_err(|e| {
        usage(format!("--log-level (or RSC_LOG) cannot be `{level}`: {e}"))
            .next("it is error, warn, info, debug or trace, or such as warn,rsc::engine=debug")
    });
    let filter = filter.map_err(Error::Usage)?;
    let (writer, coloured) = match &cli.log_file {
        Some(path) => (BoxMakeWriter::new(Mutex::new(open(path)?)), false),
        None => (BoxMakeWriter::new(std::io::stderr), console::colors_enabled_stderr()),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(coloured);
    match cli.log_format {
        Format::Text => log.init(),
        Format::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

fn open(path: &Path) -> Result<File, Error> {
    OpenOptions::new().create(true).append(true).open(path).map_err(|e| {
        let told = usage(format!("the log cannot be written to {}: {e}", path.display()));
        Error::Usage(told.next("name a file in a folder that exists and that you may write, with --log-file"))
    })
}

fn usage(what: String) -> Told {
    Told::new(what).state("nothing was touched")
}
