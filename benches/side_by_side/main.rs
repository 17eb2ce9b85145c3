//! rsc beside MySQL's own ALTER TABLE and the tools of the trade, on one server: `cargo bench --bench side_by_side`.
//!
//! Prints a table, and writes all figures to target/side_by_side.json. Times depend on the machine; what counts are
//! ratios within one run. `RSC_BENCH_ROWS` makes the table smaller, `RSC_BENCH_ONLY` runs the scenarios whose name
//! contains it. pt-online-schema-change runs if it is on the PATH; gh-ost and spirit if `RSC_BENCH_GHOST` and
//! `RSC_BENCH_SPIRIT` name their programs.

#[path = "../../tests/it/support/server.rs"]
mod server;

mod load;
mod process;
mod report;
mod scenarios;
mod table;
mod tools;

use report::Report;

pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    // `cargo bench` hands on --bench, and nothing else is expected.
    let rows =
        std::env::var("RSC_BENCH_ROWS").ok().map(|rows| rows.parse()).transpose()?.unwrap_or(2_000_000);
    let only = std::env::var("RSC_BENCH_ONLY").unwrap_or_default();
    let mut report = Report::new(rows);
    for (name, scenario) in scenarios::all() {
        if name.contains(&only) {
            eprintln!("\n== {name}");
            scenario(rows, &mut report).await?;
        }
    }
    println!("{}", report.text());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/target/side_by_side.json");
    std::fs::write(path, report.json())?;
    eprintln!("all figures: target/side_by_side.json");
    Ok(())
}
