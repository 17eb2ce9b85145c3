//! Runs the rsc binary.

use std::fmt;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use super::server::Server;

/// The binary with the connection to a server. Output is JSON unless the arguments say otherwise.
pub struct Rsc {
    port: u16,
}

/// How a run ended.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Rsc {
    pub fn on(server: &Server) -> Self {
        Self { port: server.port() }
    }

    pub async fn run(&self, arguments: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_rsc"))
            .args(["--host", "127.0.0.1", "--port", &self.port.to_string(), "--user", "root"])
            .args(["--output", "json"])
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("the binary starts");
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Run {
    /// The lines of JSON.
    pub fn events(&self) -> Vec<Value> {
        self.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The last line, which must be the `done` event.
    pub fn done(&self) -> Value {
        let last = self.events().pop().unwrap_or_default();
        assert_eq!(last["event"], "done", "{self}");
        last
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}
