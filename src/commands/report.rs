//! `rsc report <id> --html FILE`: the whole course of a change as one page.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::facts::Facts;
use super::{Context, store_error};
use crate::cli::ReportOptions;
use crate::error::{Error, Told};
use crate::journal::verification;
use crate::output::page;

pub async fn run(context: &Context, options: &ReportOptions) -> Result<(), Error> {
    let (mut session, _) = context.change(options.id).await?;
    let status = Facts::new(&context.server, options.id).look(&mut session).await?;
    let verifications = verification::all(&mut session, options.id).await.map_err(store_error)?;
    let page = page::html(&status, &verifications, &context.server.address());
    write(&options.html, &page, options.force)?;
    context.printer.written(options.id, &options.html);
    Ok(())
}

/// A page that is there already may be someone's only record, so it stays unless that is said.
fn write(file: &Path, page: &str, force: bool) -> Result<(), Error> {
    let mut open = OpenOptions::new();
    match force {
        true => open.write(true).create(true).truncate(true),
        false => open.write(true).create_new(true),
    };
    let written = open.open(file).and_then(|mut file| file.write_all(page.as_bytes()));
    written.map_err(|error| {
        let told = |what: String| Told::new(what).state("no page was written; the change is untouched");
        Error::Usage(match error.kind() {
            ErrorKind::AlreadyExists => told(format!("{} is there already", file.display()))
                .next("give --force to write over it, or another file"),
            _ => told(format!("{} cannot be written: {error}", file.display()))
                .next("give --html a file in a folder that is there, and that you may write"),
        })
    })
}
