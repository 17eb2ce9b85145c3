//! How each tool rebuilds `bench.t`.

use tokio::process::Command;

use mysql_async::prelude::Queryable;

use crate::Outcome;
use crate::process::{self, Usage};
use crate::server::Server;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    Rsc,
    NativeCopy,
    NativeInplace,
    PtOnlineSchemaChange,
    GhOst,
    Spirit,
}

impl Tool {
    pub const ALL: [Tool; 6] = [
        Tool::NativeInplace,
        Tool::NativeCopy,
        Tool::Rsc,
        Tool::PtOnlineSchemaChange,
        Tool::GhOst,
        Tool::Spirit,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Tool::Rsc => "rsc",
            Tool::NativeCopy => "native COPY",
            Tool::NativeInplace => "native INPLACE",
            Tool::PtOnlineSchemaChange => "pt-online-schema-change",
            Tool::GhOst => "gh-ost",
            Tool::Spirit => "spirit",
        }
    }

    /// The program, where it is not rsc's or the server's own. `None`: not here.
    fn program(self) -> Option<String> {
        let given = |name: &str| std::env::var(name).ok();
        match self {
            Tool::Rsc | Tool::NativeCopy | Tool::NativeInplace => Some(String::new()),
            Tool::PtOnlineSchemaChange => on_path("pt-online-schema-change"),
            Tool::GhOst => given("RSC_BENCH_GHOST"),
            Tool::Spirit => given("RSC_BENCH_SPIRIT"),
        }
    }

    pub fn available(self) -> bool {
        self.program().is_some()
    }

    /// Lets writers go on while it works.
    pub fn online(self) -> bool {
        self != Tool::NativeCopy
    }

    pub async fn rebuild(self, server: &Server, more: &[&str]) -> Outcome<Usage> {
        match self {
            Tool::Rsc => {
                let usage = migrate(server, "FORCE", &[&["--agent", "none"], more].concat()).await?;
                complete(server, &usage).await?;
                Ok(usage)
            }
            Tool::NativeCopy => native(server, "COPY").await,
            Tool::NativeInplace => native(server, "INPLACE").await,
            Tool::PtOnlineSchemaChange => {
                let mut command = Command::new(self.program().unwrap_or_default());
                let place = format!("h=127.0.0.1,P={},u=root,D=bench,t=t", server.port());
                command.args([
                    "--alter",
                    "ENGINE=InnoDB",
                    "--execute",
                    "--no-check-replication-filters",
                    &place,
                ]);
                process::run(command).await
            }
            Tool::GhOst => {
                let mut command = Command::new(self.program().unwrap_or_default());
                command.args(["--host=127.0.0.1", &format!("--port={}", server.port()), "--user=root"]);
                command.args(["--database=bench", "--table=t", "--alter=ENGINE=InnoDB", "--execute"]);
                command.args(["--allow-on-master", "--initially-drop-ghost-table", "--ok-to-drop-table"]);
                process::run(command).await
            }
            Tool::Spirit => {
                let mut command = Command::new(self.program().unwrap_or_default());
                command.args([&format!("--host=127.0.0.1:{}", server.port()), "--username=root"]);
                command.args(["--database=bench", "--table=t", "--alter=ENGINE=InnoDB"]);
                process::run(command).await
            }
        }
    }
}

fn on_path(program: &str) -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|p| p.is_file())?;
    Some(found.to_string_lossy().into_owned())
}

async fn native(server: &Server, algorithm: &str) -> Outcome<Usage> {
    let mut conn = server.conn().await?;
    let began = std::time::Instant::now();
    conn.query_drop(format!("ALTER TABLE bench.t FORCE, ALGORITHM={algorithm}")).await?;
    Ok(Usage { seconds: began.elapsed().as_secs_f64(), ..Usage::default() })
}

pub fn rsc(server: &Server, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rsc"));
    command.args(["--host", "127.0.0.1", "--port", &server.port().to_string(), "--user", "root"]);
    command.args(["--output", "json"]).args(words);
    command
}

/// `rsc migrate` of `bench.t`, up to the swap.
pub async fn migrate(server: &Server, clauses: &str, more: &[&str]) -> Outcome<Usage> {
    let words = ["migrate", "--database", "bench", "--table", "t", "--alter", clauses, "--no-verify"];
    process::run(rsc(server, &[&words, more].concat())).await
}

pub fn id(usage: &Usage) -> String {
    usage.event("done").map_or_else(String::new, |done| done["id"].to_string())
}

pub async fn complete(server: &Server, usage: &Usage) -> Outcome<()> {
    process::run(rsc(server, &["complete", &id(usage)])).await.map(|_| ())
}
