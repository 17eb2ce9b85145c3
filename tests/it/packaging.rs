//! What a package holds exists, or is made; what other programs read can be read; and the example of settings is accepted.

use std::path::{Path, PathBuf};

use saphyr::{LoadableYamlNode, Yaml};

use crate::support::process::bare;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn file(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn files_in(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn yaml(path: &Path) -> Vec<Yaml<'static>> {
    let text: &'static str = Box::leak(std::fs::read_to_string(path).unwrap().into_boxed_str());
    Yaml::load_from_str(text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn every_workflow_has_jobs_with_steps() {
    let mut workflows = files_in(".github/workflows", "yml");
    assert_eq!(workflows.len(), 3, "{workflows:?}");
    workflows.extend(files_in("examples/github-actions", "yml"));
    for path in workflows {
        let documents = yaml(&path);
        let shown = path.display();
        assert_eq!(documents.len(), 1, "{shown}");
        assert!(documents[0].as_mapping_get("on").is_some(), "{shown}: nothing starts it");
        let jobs = documents[0].as_mapping_get("jobs").and_then(|jobs| jobs.as_mapping());
        let jobs = jobs.unwrap_or_else(|| panic!("{shown} has no jobs"));
        assert!(!jobs.is_empty(), "{shown}");
        for (name, job) in jobs {
            let called = job.as_mapping_get("uses").is_some();
            let runs = job.as_mapping_get("runs-on").is_some();
            assert!(called || runs, "{shown}: nothing runs {name:?}");
            let Some(steps) = job.as_mapping_get("steps").and_then(|steps| steps.as_sequence()) else {
                assert!(called, "{shown}: {name:?} has no steps");
                continue;
            };
            for step in steps {
                let does = ["run", "uses"].iter().filter(|key| step.as_mapping_get(key).is_some()).count();
                assert_eq!(does, 1, "{shown}: {name:?}: {step:?}");
            }
        }
    }
}

#[test]
fn other_files_of_this_form_can_be_read() {
    for path in ["docker-compose.yml", "examples/kubernetes.yaml", "examples/gitlab/.gitlab-ci.yml"] {
        assert!(!yaml(&root().join(path)).is_empty(), "{path}");
    }
}

/// Everything the Debian package takes is in the repository, or written by `packaging/build`.
#[test]
fn what_the_debian_package_holds_exists_or_is_made() {
    let manifest: toml::Table = file("Cargo.toml").parse().unwrap();
    let deb = &manifest["package"]["metadata"]["deb"];
    let build = file("packaging/build");
    let mut installed = Vec::new();
    for asset in deb["assets"].as_array().unwrap() {
        let (from, to) = (asset[0].as_str().unwrap(), asset[1].as_str().unwrap());
        installed.push(to.to_owned());
        match from.strip_prefix("target/") {
            Some("release/rsc") => assert!(build.contains("cargo build --release")),
            Some(made) => {
                let folder = Path::new(made).parent().unwrap().to_str().unwrap();
                assert!(build.contains(&format!("target/{folder}")), "nothing makes {from}");
            }
            None => assert!(root().join(from).is_file(), "there is no {from}"),
        }
    }
    for wanted in ["usr/bin/", "usr/share/man/man1/", "usr/lib/systemd/system/rsc-agent.service"] {
        assert!(installed.iter().any(|to| to == wanted), "{wanted} is not installed: {installed:?}");
    }
    let unit = file("examples/rsc-agent.service");
    assert!(unit.contains("ExecStart=/usr/bin/rsc "), "{unit}");
    assert!(file("packaging/debian/postinst").contains("useradd --system"), "User=rsc is made by nobody");
}

/// As it stands, and with what stands there as a comment.
#[tokio::test]
async fn the_example_of_settings_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let log = format!("log-file = \"{}\"", folder.path().join("rsc.log").display());
    let example = file("examples/rsc.toml").replace("log-file = \"/var/log/rsc/rsc.log\"", &log);
    let uncommented = example.replace("# copy-threads", "copy-threads").replace("# no-verify", "no-verify");
    assert_ne!(example, uncommented);
    for (number, text) in [example, uncommented].iter().enumerate() {
        let path = folder.path().join(format!("{number}.toml"));
        std::fs::write(&path, text).unwrap();
        for profile in ["staging", "production", "local"] {
            let arguments = ["--config", path.to_str().unwrap(), "--profile", profile, "config"];
            let shown = bare(&arguments).run().await.well().stdout;
            assert!(shown.contains(&format!("profile {profile}")), "{shown}");
        }
    }
}
