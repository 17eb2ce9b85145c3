//! Which `mysqld` to start, and the freshly initialised data directory that every server begins with.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{account, fetch};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("RSC_MYSQLD={0}: not a MySQL server, 8.0 or newer")]
    Unusable(PathBuf),
    #[error("neither RSC_CACHE, XDG_CACHE_HOME nor HOME says where to keep a MySQL server")]
    NoCache,
    #[error(
        "no MySQL server here, and none could be fetched: {0}\nset RSC_MYSQLD to the path of a mysqld, 8.0 or newer"
    )]
    NotFetched(#[from] fetch::Error),
    #[error("`mysqld --initialize-insecure` failed:\n{0}")]
    NotInitialised(String),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
}

/// Options that a data directory is bound to from its first start on: each combination has its own template.
const BINDING_OPTIONS: [&str; 3] =
    ["--lower-case-table-names=", "--innodb-page-size=", "--innodb-data-file-path="];

/// A `mysqld` that can be started.
#[derive(Clone, Debug)]
pub struct Installation {
    pub mysqld: PathBuf,
    /// As it prints it, without its path: `9.7.4 for Linux on x86_64 (Debian)`.
    pub version: String,
    cache: PathBuf,
}

impl Installation {
    /// `RSC_MYSQLD`, else `mysqld` of the host, else the one in the cache, which is fetched at the first use.
    pub fn find() -> Result<Self, Error> {
        let cache = cache_folder()?;
        fs::create_dir_all(&cache).map_err(at(&cache))?;
        let usable = |mysqld: PathBuf| {
            version_of(&mysqld).map(|version| Self { mysqld, version, cache: cache.clone() })
        };
        if let Some(named) = env::var_os("RSC_MYSQLD").map(PathBuf::from) {
            return usable(named.clone()).ok_or(Error::Unusable(named));
        }
        if let Some(found) = on_path("mysqld").into_iter().find_map(&usable) {
            return Ok(found);
        }
        // A home folder may be shared by hosts of several kinds.
        let root = cache.join(format!("mysql-{}", env::consts::ARCH));
        once(&cache, &root, |partial| {
            eprintln!("fetching a MySQL server once (about 66 MB) into {} …", root.display());
            fetch::fetch(partial)?;
            eprintln!("fetched: {}", root.join("bin/mysqld").display());
            Ok(())
        })?;
        let mysqld = root.join("bin/mysqld");
        usable(mysqld.clone()).ok_or(Error::Unusable(mysqld))
    }

    /// The command line client beside this server, or the host's.
    pub fn client(&self) -> Option<PathBuf> {
        let beside = self.mysqld.with_file_name("mysql");
        if beside.exists() { Some(beside) } else { on_path("mysql").into_iter().next() }
    }

    /// A data directory as a new server has it: root without a password, and README's accounts. To be copied, never
    /// started.
    pub fn template(&self, options: &[String]) -> Result<PathBuf, Error> {
        let binding: Vec<_> =
            options.iter().filter(|o| BINDING_OPTIONS.iter().any(|b| o.starts_with(b))).collect();
        // `9.7.4-2`, or `8.4.6` from two vendors, whose servers read each other's data.
        let mut name = format!("data-{}", self.version.split_whitespace().next().unwrap_or_default());
        binding.iter().for_each(|option| name.push_str(&option[1..]));
        name.push_str(&format!("-{}", account::version()));
        name.retain(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        let template = self.cache.join(name);
        once(&self.cache, &template, |partial| {
            eprintln!("initialising a data directory once: {} …", template.display());
            let mut command = Command::new(&self.mysqld);
            // A small redo log keeps the copies small; a server makes its own as large as it is told to.
            command.args(["--no-defaults", "--initialize-insecure", "--innodb-redo-log-capacity=8M"]);
            command.args(run_as_root(&self.cache)?).args(&binding).arg(joined("--datadir=", partial));
            let accounts = self.cache.join("accounts.sql");
            fs::write(&accounts, account::init_file()).map_err(at(&accounts))?;
            command.arg(joined("--init-file=", &accounts));
            let done = command.output().map_err(at(&self.mysqld))?;
            if !done.status.success() {
                return Err(Error::NotInitialised(String::from_utf8_lossy(&done.stderr).into_owned()));
            }
            // With it, every copy would claim to be the same server.
            let identity = partial.join("auto.cnf");
            fs::remove_file(&identity).map_err(at(&identity))
        })?;
        Ok(template)
    }
}

/// mysqld refuses to run as root unless told; `owned` is a folder that this process has made.
pub fn run_as_root(owned: &Path) -> Result<Option<&'static str>, Error> {
    use std::os::unix::fs::MetadataExt;
    let owner = fs::metadata(owned).map_err(at(owned))?.uid();
    Ok((owner == 0).then_some("--user=root"))
}

/// `--option=path`, for paths that need not be UTF-8.
pub fn joined(option: &str, path: &Path) -> OsString {
    let mut joined = OsString::from(option);
    joined.push(path);
    joined
}

/// Makes `target` at most once, whatever number of processes asks: under a lock, in a folder beside it that gets
/// its name only when complete. The lock ends with its holder, however that ends.
fn once(cache: &Path, target: &Path, make: impl FnOnce(&Path) -> Result<(), Error>) -> Result<(), Error> {
    if target.exists() {
        return Ok(());
    }
    let lock_path = cache.join("lock");
    let lock = File::create(&lock_path).map_err(at(&lock_path))?;
    lock.lock().map_err(at(&lock_path))?;
    if target.exists() {
        return Ok(());
    }
    let mut partial = target.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    if partial.exists() {
        // Its maker was killed: nobody else makes one without the lock.
        fs::remove_dir_all(&partial).map_err(at(&partial))?;
    }
    make(&partial)?;
    fs::rename(&partial, target).map_err(at(target))
}

fn cache_folder() -> Result<PathBuf, Error> {
    let named = |name| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    named("RSC_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|c| c.join("rsc")))
        .or_else(|| named("HOME").map(|h| h.join(".cache/rsc")))
        // mysqld changes its folder.
        .and_then(|cache| std::path::absolute(cache).ok())
        .ok_or(Error::NoCache)
}

/// Servers are kept in `sbin`, which is not on everybody's PATH.
fn on_path(program: &str) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(program)).filter(|p| p.is_file()).collect()
}

/// `None` for what does not run, for MariaDB (which installs a `mysqld`, too) and for releases before 8.0.
fn version_of(mysqld: &Path) -> Option<String> {
    let said = Command::new(mysqld).args(["--no-defaults", "--version"]).output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let version = said.split_once("Ver ")?.1.trim();
    let major: u32 = version.split('.').next()?.parse().ok()?;
    (major >= 8 && !version.contains("MariaDB")).then(|| version.to_owned())
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}
