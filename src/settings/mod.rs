//! Where the server is.

pub mod option_file;
pub mod profile;

use std::path::PathBuf;

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
    /// Over a socket, or the loopback interface.
    pub fn may_be_this_machine(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.socket.is_some()
            || self.host == "localhost"
            || address.is_ok_and(|address| address.is_loopback())
    }

    pub fn address(&self) -> String {
        match &self.socket {
            Some(socket) => format!("socket {socket} as {}", self.user),
            None => format!("{}:{} as {}", self.host, self.port, self.user),
        }
    }
}
