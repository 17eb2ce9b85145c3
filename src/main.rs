//! Parse, run, exit code.

use std::process::ExitCode;
use std::sync::Arc;

use rsc::cli::Command;
use rsc::cli::configured::Typed;
use rsc::error::Error;
use rsc::output::Printer;
use rsc::{commands, logging};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

#[tokio::main]
async fn main() -> ExitCode {
    let typed = Typed::parse(std::env::args_os()).unwrap_or_else(|told| told.exit());
    let printer = Printer::new(typed.format());
    let begun = typed.configured().and_then(|(cli, settings)| {
        logging::begin(&cli)?;
        Ok((cli, settings))
    });
    let (cli, settings) = match begun {
        Ok(begun) => begun,
        Err(error) => return ended(&printer, Err(error)),
    };
    // A profile may ask for another form.
    let printer = Arc::new(Printer::new(cli.output));
    // An agent outlives the terminal that it was started from; everything else ends with it as by Ctrl-C.
    let outlives = matches!(cli.command, Command::Agent(_));
    let (stopper, stop) = watch::channel(false);
    tokio::spawn(stop_on_signals(stopper, Arc::clone(&printer), outlives));
    let outcome = commands::run(cli, settings, Arc::clone(&printer), stop).await;
    ended(&printer, outcome)
}

fn ended(printer: &Printer, outcome: Result<(), Error>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for told in error.told() {
                tracing::error!(target: "rsc::told", kind = error.kind(), state = told.state, "{}", told.what);
            }
            printer.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// The first signal lets the statement in flight end; the second does not wait.
async fn stop_on_signals(stopper: watch::Sender<bool>, printer: Arc<Printer>, outlives_terminal: bool) {
    let (Ok(mut terminate), Ok(mut hangup)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        return;
    };
    for first in [true, false] {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
            // By whom it is heard and not answered, it has no effect.
            _ = hangup.recv(), if !outlives_terminal => {}
        }
        if first {
            printer.stopping();
            // Nobody listens any more when the command has ended.
            let _ = stopper.send(true);
        }
    }
    std::process::exit(130);
}
