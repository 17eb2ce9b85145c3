//! Where the server is, and what files say of it.

pub mod given;
pub mod option_file;
pub mod rsc_toml;

use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SslMode {
    /// Plain text
    Disabled,
    /// Encrypted if the server can
    Preferred,
    /// Encrypted, or no connection; the server's certificate is not checked
    Required,
    /// The certificate must also be signed by --ssl-ca
    VerifyCa,
    /// It must also name the host
    VerifyIdentity,
}

impl SslMode {
    /// Where none is asked for. What never leaves the machine needs no encryption, and a tunnel has its own.
    pub fn usual(this_machine: bool) -> Self {
        if this_machine { SslMode::Disabled } else { SslMode::Preferred }
    }
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
    /// The authorities to trust, instead of those that everybody does.
    pub ssl_ca: Option<PathBuf>,
    /// What this side shows to the server: a certificate, and its key.
    pub ssl_cert: Option<PathBuf>,
    pub ssl_key: Option<PathBuf>,
}

/// Over a socket, or the loopback interface.
pub fn may_be_this_machine(host: &str, socket: Option<&str>) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    socket.is_some() || host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl Server {
    pub fn may_be_this_machine(&self) -> bool {
        may_be_this_machine(&self.host, self.socket.as_deref())
    }

    pub fn address(&self) -> String {
        match &self.socket {
            Some(socket) => format!("socket {socket} as {}", self.user),
            None => format!("{}:{} as {}", self.host, self.port, self.user),
        }
    }
}
