//! `rsc config`: every setting as it is, and where its value comes from.

use crate::cli::configured::Settings;
use crate::cli::{Connection, login_name};
use crate::error::Error;
use crate::output::Printer;
use crate::settings::{SslMode, may_be_this_machine};

pub fn run(connection: &Connection, settings: &Settings, printer: &Printer) -> Result<(), Error> {
    let mut all = settings.all().to_vec();
    for setting in all.iter_mut().filter(|setting| setting.values.is_empty()) {
        // Defaults that depend on something.
        match setting.key.as_str() {
            "user" => setting.values.push(login_name()),
            "ssl-mode" => setting.values.push(name_of(usual_mode(connection))),
            _ => {}
        }
    }
    printer.settings(&all);
    Ok(())
}

fn usual_mode(connection: &Connection) -> SslMode {
    SslMode::usual(may_be_this_machine(&connection.host, connection.socket.as_deref()))
}

fn name_of(mode: SslMode) -> String {
    clap::ValueEnum::to_possible_value(&mode).map_or(String::new(), |value| value.get_name().to_owned())
}
