//! Named servers in `rsc.toml`.
//!
//! ```toml
//! [profile.production]
//! host = "db1.example.com"
//! user = "rsc"
//! ssl_mode = "verify-identity"
//! ssl_ca = "/etc/mysql/ca.pem"
//! ```

use std::collections::HashMap;
use std::path::PathBuf;

use super::SslMode;

/// What a profile may say. Everything is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub socket: Option<String>,
    pub user: Option<String>,
    pub password: Option<String>,
    pub database: Option<String>,
    pub ssl_mode: Option<SslMode>,
    pub ssl_ca: Option<PathBuf>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    profile: HashMap<String, Profile>,
}

/// The profile of this name, or the reason why there is none, for the person who wrote the file.
pub fn read(text: &str, name: &str) -> Result<Profile, String> {
    let file: File = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
    let mut names: Vec<&String> = file.profile.keys().collect();
    names.sort();
    match file.profile.get(name) {
        Some(profile) => Ok(profile.clone()),
        None => Err(format!(
            "it has no profile {name}; it has: {}",
            names.iter().map(|n| n.as_str()).collect::<Vec<_>>().join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_found_by_name_and_a_misspelt_key_is_named() {
        let text = "[profile.a]\nhost = 'h'\nssl_mode = 'verify-identity'\n";
        let profile = read(text, "a").expect("there");
        assert_eq!((profile.host.as_deref(), profile.ssl_mode), (Some("h"), Some(SslMode::VerifyIdentity)));
        assert!(read(text, "b").expect_err("not there").contains("it has: a"));
        assert!(read("[profile.a]\nhots = 'h'\n", "a").expect_err("misspelt").contains("hots"));
    }
}
