//! A MySQL server to play with: `cargo run --example private_server`. It is gone, with its data, after Ctrl-C.
//!
//! Arguments go to mysqld: `cargo run --example private_server -- --gtid-mode=OFF`.

#[path = "../tests/it/support/server.rs"]
mod server;

use std::env;
use std::io::{self, Read};
use std::process::ExitCode;

use server::{Error, Options, Server};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Error> {
    let options = env::args().skip(1).fold(Options::default(), |options, argument| options.with(argument));
    let server = Server::start(options)?;
    println!("MySQL   {}", server.version());
    println!("host    127.0.0.1");
    println!("port    {}", server.port());
    println!("socket  {}", server.socket().display());
    println!("log     {}", server.error_log().display());
    println!();
    println!("{}", server.client_command());
    println!();
    println!("Ctrl-C or the end of input stops it.");
    // Ctrl-C ends this process at once; what it leaves is cleared away by the server's keeper.
    let _ = io::copy(&mut io::stdin().lock().by_ref(), &mut io::sink());
    Ok(())
}
