//! `rsc man` and `rsc completions`: made from the definition of the command line.

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsOptions, ManOptions};
use crate::error::{Error, Told};
use crate::output::Printer;

pub fn pages(options: &ManOptions, printer: &Printer) -> Result<(), Error> {
    let Some(folder) = &options.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command())
            .render(&mut page)
            .map_err(|e| Error::Unexpected(Told::new(e)))?;
        printer.raw(&page);
        return Ok(());
    };
    let written =
        std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    written.map_err(|e| {
        Error::Usage(
            Told::new(format!("the manual pages cannot be written into {}: {e}", folder.display()))
                .state("no server was touched")
                .next("name another folder with --dir"),
        )
    })
}

pub fn completions(options: &CompletionsOptions, printer: &Printer) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "rsc", &mut script);
    printer.raw(&script);
    Ok(())
}
