//! Parse, run, exit code.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use rsc::cli::{Cli, Command};
use rsc::commands;
use rsc::output::Printer;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_env("RSC_LOG").unwrap_or_else(|_| EnvFilter::new("warn")))
        .with_writer(std::io::stderr)
        .init();
    let printer = Arc::new(Printer::new(cli.output));
    if let Command::Agent(_) = cli.command {
        // Heard, and not answered: an agent outlives the terminal that it was started from.
        let _ = signal(SignalKind::hangup());
    }
    let (stopper, stop) = watch::channel(false);
    tokio::spawn(stop_on_signals(stopper, Arc::clone(&printer)));
    match commands::run(cli, Arc::clone(&printer), stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            printer.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// The first signal lets the statement in flight end; the second does not wait.
async fn stop_on_signals(stopper: watch::Sender<bool>, printer: Arc<Printer>) {
    end_asked_for().await;
    printer.stopping();
    // Nobody listens any more when the command has ended.
    let _ = stopper.send(true);
    end_asked_for().await;
    std::process::exit(130);
}

async fn end_asked_for() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
