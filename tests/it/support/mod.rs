//! What the tests stand on.

pub mod account;
pub mod odd_servers;
pub mod process;
pub mod proxy;
pub mod server;
pub mod table;
pub mod writers;

use std::io::Write;
use std::sync::OnceLock;

use server::{Options, Server};

/// The server of this test process. Its tests run side by side on it, each in a [`Server::fresh_database`]; who
/// kills, restarts or configures a server starts one of its own.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start(Options::default()).unwrap_or_else(|error| panic!("{error}")))
}

/// Shown by `cargo test` also of a test that passed, whose own output is kept back: what a person wants to read of it.
pub fn sum_up(line: &str) {
    // Nobody may be there to read it.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
