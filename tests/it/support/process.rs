//! Runs the rsc binary.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use super::server::Server;

/// No run of a test takes a tenth of this; it only ends what hangs.
const PATIENCE: Duration = Duration::from_secs(60);

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

    /// Waits for the end. A run that does not end fails the test, with what it has said.
    pub async fn run(&self, arguments: &[&str]) -> Run {
        let (mut out, mut err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let mut child = Command::new(env!("CARGO_BIN_EXE_rsc"))
            .args(["--host", "127.0.0.1", "--port", &self.port.to_string(), "--user", "root"])
            .args(["--output", "json"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(err.try_clone().unwrap())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
        let run = Run {
            code: ended.as_ref().map_or(-1, |status| status.as_ref().unwrap().code().unwrap_or(-1)),
            stdout: read(&mut out),
            stderr: read(&mut err),
        };
        assert!(ended.is_ok(), "{arguments:?} did not end within {PATIENCE:?}: {run}");
        run
    }
}

fn read(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
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
