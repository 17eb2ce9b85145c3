//! What is shown, against files that hold it whole. `RSC_BLESS=1 cargo test --test shown` writes them anew; then read
//! the difference before you commit it.

use std::path::PathBuf;
use std::{env, fs};

/// # Panics
/// When `shown` is not what the file holds.
pub fn is_as_before(file: &str, shown: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/shown").join(file);
    let shown = format!("{}\n", shown.trim_end_matches('\n'));
    if env::var_os("RSC_BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder of the snapshot");
        fs::write(&path, shown).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        return;
    }
    let held = fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; RSC_BLESS=1 writes it", path.display()));
    assert!(
        held == shown,
        "{} is not what is shown (RSC_BLESS=1 writes it anew)\n--- held\n{held}\n--- shown\n{shown}",
        path.display()
    );
}
