//! Where the server is, and how a change is to be made.

pub mod option_file;
pub mod profile;

use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Plain text, or a local socket.
    Disabled,
    /// Encrypted; the server's certificate is not checked.
    Required,
    /// Encrypted; the certificate must be signed by --ssl-ca and name the host.
    VerifyIdentity,
}

/// How to reach the server.
#[derive(Clone)]
pub struct Server {
    pub host: String,
    pub port: u16,
    /// Used instead of host and port when given.
    pub socket: Option<String>,
    pub user: String,
    pub password: Option<String>,
    pub ssl_mode: SslMode,
    pub ssl_ca: Option<PathBuf>,
}

impl Server {
    pub fn address(&self) -> String {
        match &self.socket {
            Some(socket) => format!("socket {socket} as {}", self.user),
            None => format!("{}:{} as {}", self.host, self.port, self.user),
        }
    }
}

/// How one change is made. Stored with the change, so that whoever goes on with it does the same.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Options {
    /// How long a batch should take, in milliseconds. No snapshot is held longer.
    pub batch_ms: u64,
    /// How long an attempt to lock the tables may wait, in seconds; the application waits as long.
    pub cutover_lock_timeout_s: u64,
    /// How long after the last swap a revert stays possible, in seconds.
    pub revert_window_s: u64,
}

impl Options {
    pub fn batch(&self) -> Duration {
        Duration::from_millis(self.batch_ms)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { batch_ms: 500, cutover_lock_timeout_s: 3, revert_window_s: 24 * 60 * 60 }
    }
}
