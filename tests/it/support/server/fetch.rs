//! The server's packages from the distribution's own archive, unpacked into one folder.
//!
//! Nothing is installed and nothing of the host's apt is touched: apt works in a folder of its own (lists, cache,
//! an empty status file, hence every library comes along, libc and the loader too), so no root is needed and the
//! unpacked programs run on hosts whose libraries are older.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{program}` failed: {output}")]
    Program { program: String, output: String },
    #[error("the archive offers no {0}")]
    NoPackage(&'static str),
    #[error("the packages hold no {0}")]
    Incomplete(&'static str),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
}

/// Downloads and unpacks into `root`, which must not exist yet; then `root/bin` holds `mysqld`, `mysql` and
/// the other programs, ready to run. A failure leaves `root` incomplete: the caller renames only what succeeded.
pub fn fetch(root: &Path) -> Result<(), Error> {
    let apt = Apt::prepare(root.join("apt"))?;
    apt.run("apt-get", &["-q", "update"])?;
    let (server, client) = apt.package_names()?;
    apt.run("apt-get", &["-q", "-y", "--download-only", "install", server, client])?;
    for package in files_in(&apt.archives())? {
        if package.extension().is_some_and(|e| e == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(root))?;
        }
    }
    fs::remove_dir_all(&apt.home).map_err(at(&apt.home))?;
    write_starters(root)
}

/// Where the packages come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Archive {
    /// Debian's `sid`, the only suite with a current MySQL; its names carry no version.
    DebianSid,
    /// Whatever the host is configured for, with Ubuntu's names. Never tried: no such host was at hand.
    Host,
}

struct Apt {
    home: PathBuf,
    archive: Archive,
}

impl Apt {
    fn prepare(home: PathBuf) -> Result<Self, Error> {
        for folder in ["state/lists/partial", "cache/archives/partial", "log"] {
            let folder = home.join(folder);
            fs::create_dir_all(&folder).map_err(at(&folder))?;
        }
        write(&home.join("status"), "")?;
        let mut apt = Self { home, archive: Archive::Host };
        if let Some(mirror) = apt.debian_mirror()? {
            let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
            write(&apt.home.join("sources.list"), &format!("deb [signed-by={keyring}] {mirror} sid main\n"))?;
            apt.archive = Archive::DebianSid;
        }
        Ok(apt)
    }

    /// The Debian mirror that the host is configured for. Mirrors by list (`mirror+file:…/debian.list`, as in cloud
    /// images) count too; other repositories and the security archive have other names.
    ///
    /// Asked of an update that only says what it would get: `apt-get indextargets` knows nothing before the host's
    /// first update, as in a fresh container.
    fn debian_mirror(&self) -> Result<Option<String>, Error> {
        let planned = self.run("apt-get", &["update", "--print-uris"])?;
        let mut repositories =
            planned.lines().filter_map(|l| Some(l.strip_prefix('\'')?.split_once("/dists/")?.0));
        let is_debian = |uri: &&str| matches!(uri.rsplit('/').next(), Some("debian" | "debian.list"));
        Ok(repositories.find(is_debian).map(str::to_owned))
    }

    fn archives(&self) -> PathBuf {
        self.home.join("cache/archives")
    }

    /// The host's configuration stays in force otherwise: it may name a proxy.
    fn command(&self, program: &str) -> Command {
        let home = self.home.display();
        let mut options = vec![
            format!("Dir::State={home}/state"),
            format!("Dir::State::status={home}/status"),
            format!("Dir::Cache={home}/cache"),
            format!("Dir::Log={home}/log"),
            "APT::Install-Recommends=0".to_owned(),
            "Acquire::Languages=none".to_owned(),
            // Descriptions for software centres: 6 MB nobody reads here.
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            // A private folder has one user, and a folder of root's is closed to apt's download user.
            "Debug::NoLocking=1".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
        ];
        if self.archive == Archive::DebianSid {
            options.push(format!("Dir::Etc::SourceList={home}/sources.list"));
            options.push("Dir::Etc::SourceParts=/dev/null".to_owned());
            // The host's pins are about the host's suites.
            options.push("Dir::Etc::Preferences=/dev/null".to_owned());
            options.push("Dir::Etc::PreferencesParts=/dev/null".to_owned());
        }
        let mut command = Command::new(program);
        command.env("LC_ALL", "C");
        for option in options {
            command.arg("-o").arg(option);
        }
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String, Error> {
        run(self.command(program).args(arguments))
    }

    fn package_names(&self) -> Result<(&'static str, &'static str), Error> {
        let candidates: &[_] = match self.archive {
            Archive::DebianSid => &[("mysql-server-core", "mysql-client-core")],
            Archive::Host => &[
                ("mysql-server-core", "mysql-client-core"),
                ("mysql-server-core-8.4", "mysql-client-core-8.4"),
                ("mysql-server-core-8.0", "mysql-client-core-8.0"),
            ],
        };
        let known = |(server, _): &&(&str, &str)| {
            self.run("apt-cache", &["policy", server])
                .is_ok_and(|p| p.contains("Candidate: ") && !p.contains("Candidate: (none)"))
        };
        candidates.iter().find(known).copied().ok_or(Error::NoPackage("mysql-server-core"))
    }
}

/// One script for each MySQL program, which runs it with the loader and the libraries it came with.
fn write_starters(root: &Path) -> Result<(), Error> {
    let inside = |path: &Path| format!("$root/{}", path.strip_prefix(root).unwrap_or(path).display());
    let libraries = library_folders(root)?;
    let loader = find_loader(root, &libraries).ok_or(Error::Incomplete("loader"))?;
    let library_path = libraries.iter().map(|l| inside(l)).collect::<Vec<_>>().join(":");
    let bin = root.join("bin");
    fs::create_dir(&bin).map_err(at(&bin))?;

    for folder in ["usr/sbin", "usr/bin"] {
        for program in files_in(&root.join(folder))? {
            let Some(name) = program.file_name().and_then(|n| n.to_str()) else { continue };
            if !name.starts_with("mysql") || !is_elf(&program) {
                continue;
            }
            // The paths compiled in are those of an installed server.
            let own_paths = match name {
                "mysqld" => {
                    " --basedir=\"$root/usr\" --plugin-dir=\"$root/usr/lib/mysql/plugin\" \
                     --lc-messages-dir=\"$root/usr/share/mysql\" --character-sets-dir=\"$root/usr/share/mysql/charsets\""
                }
                _ => "",
            };
            let starter = bin.join(name);
            write(
                &starter,
                &format!(
                    "#!/bin/sh\nhere=$(cd \"${{0%/*}}\" && pwd)\nroot=${{here%/bin}}\n\
                     exec \"{}\" --library-path \"{library_path}\" \"{}\" \"$@\"{own_paths}\n",
                    inside(&loader),
                    inside(&program),
                ),
            )?;
            fs::set_permissions(&starter, fs::Permissions::from_mode(0o755)).map_err(at(&starter))?;
        }
    }
    if bin.join("mysqld").exists() { Ok(()) } else { Err(Error::Incomplete("mysqld")) }
}

/// The folders with shared libraries: the multiarch one, wherever this release keeps it, and MySQL's own in it.
fn library_folders(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for parent in ["usr/lib", "lib"] {
        let parent = root.join(parent);
        if !parent.is_dir() {
            continue;
        }
        for folder in files_in(&parent)? {
            if folder.is_dir() && folder.to_string_lossy().contains("-linux-gnu") {
                let own = folder.join("mysql/private");
                found.push(folder);
                found.extend(own.is_dir().then_some(own));
            }
        }
    }
    Ok(found)
}

/// `ld-linux-x86-64.so.2`, `ld-linux-aarch64.so.1`, …
fn find_loader(root: &Path, libraries: &[PathBuf]) -> Option<PathBuf> {
    let elsewhere = ["usr/lib", "usr/lib64", "lib", "lib64"].map(|f| root.join(f));
    // Only a file that opens will do: a link may point to an absolute path of the host.
    let is_loader = |path: &PathBuf| {
        path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("ld-linux")) && is_elf(path)
    };
    libraries.iter().chain(&elsewhere).filter_map(|folder| files_in(folder).ok()).flatten().find(is_loader)
}

fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    fs::File::open(path).and_then(|mut f| io::Read::read_exact(&mut f, &mut magic)).is_ok()
        && magic == *b"\x7fELF"
}

/// Sorted, so that the result does not hang on the file system's order.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(folder).map_err(at(folder))?;
    let mut paths =
        entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>().map_err(at(folder))?;
    paths.sort();
    Ok(paths)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}

/// Standard output; on failure the end of what the program said.
fn run(command: &mut Command) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |output| Error::Program { program: program.clone(), output };
    let done = command.output().map_err(|e| failed(e.to_string()))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<_> = said.lines().collect();
    Err(failed(lines[lines.len().saturating_sub(8)..].join("\n")))
}
