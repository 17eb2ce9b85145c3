//! What is measured. Each scenario makes its own server and table.

use std::pin::Pin;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use tokio::time::sleep;

use crate::Outcome;
use crate::load::{Load, Probe, percentile};
use crate::process::{self, Usage, cpu_s};
use crate::report::Report;
use crate::server::Server;
use crate::table::{Shape, fill, settle, start};
use crate::tools::{self, Tool, complete, id, migrate, rsc};

type Run<'a> = Pin<Box<dyn Future<Output = Outcome<()>> + 'a>>;
pub type Scenario = fn(u64, &mut Report) -> Run<'_>;

pub fn all() -> [(&'static str, Scenario); 11] {
    [
        ("idle", |rows, report| Box::pin(idle(rows, report))),
        ("probe", |rows, report| Box::pin(probe(rows, report))),
        ("loaded", |rows, report| Box::pin(loaded(rows, report))),
        ("saturated", |rows, report| Box::pin(saturated(rows, report))),
        ("small_pool", |rows, report| Box::pin(small_pool(rows, report))),
        ("shapes", |rows, report| Box::pin(shapes(rows, report))),
        ("catch_up", |rows, report| Box::pin(catch_up(rows, report))),
        ("freeze", |rows, report| Box::pin(freeze(rows, report))),
        ("revert", |rows, report| Box::pin(revert(rows, report))),
        ("verify", |rows, report| Box::pin(verify(rows, report))),
        ("background", |rows, report| Box::pin(background(rows, report))),
    ]
}

/// Holds the table and its indexes.
const POOL: &str = "2G";
/// The same thing is measured so often; the best counts, as all else is noise of the machine.
const TIMES: usize = 2;

async fn best(tool: Tool, server: &Server, more: &[&str]) -> Outcome<Usage> {
    let mut best: Option<Usage> = None;
    for _ in 0..TIMES {
        settle(server).await?;
        let usage = tool.rebuild(server, more).await?;
        if best.as_ref().is_none_or(|b| usage.seconds < b.seconds) {
            best = Some(usage);
        }
    }
    best.ok_or_else(|| "measured nothing".into())
}

async fn idle(rows: u64, report: &mut Report) -> Outcome<()> {
    let server = start(POOL)?;
    fill(&server, Shape::Usual, rows).await?;
    let mut seconds = Vec::new();
    for tool in Tool::ALL {
        if !tool.available() {
            report.note(format!("idle: {} is not here", tool.name()));
            continue;
        }
        let server_before = server_cpu(&server).await;
        let began = Instant::now();
        let usage = best(tool, &server, &[]).await?;
        report.figure(format!("idle: {}", tool.name()), usage.seconds, "s");
        seconds.push((tool, usage.seconds));
        if tool == Tool::Rsc {
            let server_cpu = (server_cpu(&server).await - server_before) / TIMES as f64;
            report.figure("idle: rsc, processor time of the server", server_cpu, "s");
            report.at_most("idle: processor time of rsc / of the server", usage.cpu_s / server_cpu, 0.05, "");
            report.at_most("idle: memory of rsc", usage.rss_mib, 64.0, "MiB");
            eprintln!("(all of it took {:.0} s)", began.elapsed().as_secs_f64());
        }
    }
    let of = |tool| seconds.iter().find(|(t, _)| *t == tool).map(|(_, s)| *s);
    if let (Some(rsc), Some(inplace), Some(copy)) =
        (of(Tool::Rsc), of(Tool::NativeInplace), of(Tool::NativeCopy))
    {
        report.at_most("idle: rsc / native INPLACE", rsc / inplace, 1.5, "x");
        report.at_most("idle: rsc / native COPY", rsc / copy, 0.5, "x");
    }
    // A tenth of the rows: does memory grow with the table?
    let large = tools::migrate(&server, "FORCE", &["--agent", "none"]).await?;
    complete(&server, &large).await?;
    fill(&server, Shape::Usual, rows / 10).await?;
    let small = tools::migrate(&server, "FORCE", &["--agent", "none"]).await?;
    complete(&server, &small).await?;
    report.at_most("memory of rsc, all rows / a tenth", large.rss_mib / small.rss_mib, 1.2, "x");
    Ok(())
}

/// Processor time of the whole machine, in seconds: user, nice, system, and both kinds of interrupt.
fn machine_cpu_s() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let ticks: Vec<f64> =
        stat.lines().next().unwrap_or("").split_whitespace().skip(1).map_while(|n| n.parse().ok()).collect();
    // The fourth and fifth are idle, and waiting for the disk.
    let busy = ticks.iter().take(3).chain(ticks.iter().skip(5).take(2)).sum::<f64>();
    Ok(busy / process::TICKS_PER_S)
}

async fn server_cpu(server: &Server) -> f64 {
    server.pid().and_then(cpu_s).unwrap_or(0.0)
}

/// Around the swap, and for so long, the freeze is what the probe feels.
const FREEZE_AROUND: Duration = Duration::from_millis(100);
/// So long the probe is felt with nothing beside it.
const QUIET: Duration = Duration::from_secs(10);

/// What one client feels of the change, and of MySQL's own.
async fn probe(rows: u64, report: &mut Report) -> Outcome<()> {
    let server = start(POOL)?;
    fill(&server, Shape::Usual, rows).await?;
    settle(&server).await?;
    let quiet = felt(&server, async {
        sleep(QUIET).await;
        Ok(None)
    })
    .await?;
    let p99 = percentile(&quiet, 0.99);
    report.figure("probe: p99 before", p99, "ms");
    report.figure("probe: worst before", percentile(&quiet, 1.0), "ms");
    let native = felt(&server, async {
        Tool::NativeInplace.rebuild(&server, &[]).await?;
        Ok(None)
    })
    .await?;
    report.figure("probe: p99 during native INPLACE", percentile(&native, 0.99), "ms");
    report.figure("probe: worst during native INPLACE", percentile(&native, 1.0), "ms");
    settle(&server).await?;
    let mut usage = Usage::default();
    let during = felt(&server, async {
        usage = migrate(&server, "FORCE", &["--agent", "none"]).await?;
        Ok(usage.when("swapped"))
    })
    .await?;
    complete(&server, &usage).await?;
    let worst = percentile(&during, 1.0);
    report.figure("probe: p99 during the change", percentile(&during, 0.99), "ms");
    report.figure("probe: worst during the change, freeze apart", worst, "ms");
    report.at_most("probe: worst during / p99 before", worst / p99, 5.0, "x");
    Ok(())
}

/// How many milliseconds each write of the probe took while `work` ran, but for those around the swap that it names.
async fn felt(server: &Server, work: impl Future<Output = Outcome<Option<Instant>>>) -> Outcome<Vec<f64>> {
    let probe = Probe::start(server).await?;
    let swapped = work.await?;
    let seen = probe.stop().await?;
    let apart = |at: Instant, took: Duration| {
        swapped.is_none_or(|swapped| at >= swapped + FREEZE_AROUND || at + took + FREEZE_AROUND <= swapped)
    };
    Ok(seen
        .into_iter()
        .filter(|(at, took)| apart(*at, *took))
        .map(|(_, took)| took.as_secs_f64() * 1000.0)
        .collect())
}

async fn loaded(rows: u64, report: &mut Report) -> Outcome<()> {
    let server = start(POOL)?;
    fill(&server, Shape::Usual, rows).await?;
    let idle_native = best(Tool::NativeInplace, &server, &[]).await?;
    let idle = best(Tool::Rsc, &server, &[]).await?;
    settle(&server).await?;
    let busy = machine_cpu_s()?;
    let usage = Tool::Rsc.rebuild(&server, &[]).await?;
    report.figure(
        "idle: cores that are busy, on the whole machine",
        (machine_cpu_s()? - busy) / usage.seconds,
        "",
    );
    let load = Load::start(&server, 4, Some(400.0), rows).await?;
    let (busy, quiet) = (machine_cpu_s()?, Duration::from_secs(10));
    let (before, ()) = load.during(sleep(quiet)).await;
    let cores = (machine_cpu_s()? - busy) / quiet.as_secs_f64();
    report.figure("400 statements/s alone: cores that are busy", cores, "");
    let (during, usage) = load.during(Tool::Rsc.rebuild(&server, &[])).await;
    let usage = usage?;
    report.at_most("400 statements/s: time / idle", usage.seconds / idle.seconds, 1.3, "x");
    report.note(format!("idle: {}", idle.phases()));
    report.note(format!("400 statements/s: {}", usage.phases()));
    report.at_least("400 statements/s: throughput / before", during / before, 0.97, "");
    let (_, native) = load.during(Tool::NativeInplace.rebuild(&server, &[])).await;
    load.stop().await?;
    report.figure(
        "400 statements/s: native INPLACE, time / idle",
        native?.seconds / idle_native.seconds,
        "x",
    );
    Ok(())
}

async fn saturated(rows: u64, report: &mut Report) -> Outcome<()> {
    let server = start(POOL)?;
    fill(&server, Shape::Usual, rows).await?;
    let idle = best(Tool::Rsc, &server, &[]).await?;
    for tool in Tool::ALL.into_iter().filter(|tool| tool.available() && tool.online()) {
        settle(&server).await?;
        let load = Load::start(&server, 8, None, rows).await?;
        let (before, ()) = load.during(sleep(Duration::from_secs(10))).await;
        let patience = Duration::from_secs_f64(idle.seconds * 20.0);
        let (during, usage) = load.during(tokio::time::timeout(patience, tool.rebuild(&server, &[]))).await;
        load.stop().await?;
        let name = tool.name();
        report.figure(format!("saturated: statements/s before {name}"), before, "/s");
        let Ok(usage) = usage else {
            report.note(format!("saturated: {name} did not finish in {:.0} s", patience.as_secs_f64()));
            continue;
        };
        let (time, share) = (usage?.seconds / idle.seconds, during / before);
        if tool == Tool::Rsc {
            report.at_most("saturated: rsc, time / rsc idle", time, 4.0, "x");
            report.at_least("saturated: rsc, throughput / before", share, 0.4, "");
        } else {
            report.figure(format!("saturated: {name}, time / rsc idle"), time, "x");
            report.figure(format!("saturated: {name}, throughput / before"), share, "");
        }
    }
    Ok(())
}

async fn small_pool(rows: u64, report: &mut Report) -> Outcome<()> {
    let server = start("64M")?;
    fill(&server, Shape::Usual, rows).await?;
    settle(&server).await?;
    let deferred = Tool::Rsc.rebuild(&server, &["--defer-indexes", "always"]).await?.seconds;
    settle(&server).await?;
    let in_place = Tool::Rsc.rebuild(&server, &["--defer-indexes", "never"]).await?.seconds;
    report.figure("64 MiB buffer pool: indexes deferred", deferred, "s");
    report.figure("64 MiB buffer pool: not deferred", in_place, "s");
    report.at_least("64 MiB buffer pool: not deferred / deferred", in_place / deferred, 3.0, "x");
    Ok(())
}

async fn shapes(rows: u64, report: &mut Report) -> Outcome<()> {
    for (shape, name, rows) in
        [(Shape::Wide, "200 columns", rows / 10), (Shape::Long, "1 KiB rows", rows / 10)]
    {
        let server = start(POOL)?;
        fill(&server, shape, rows).await?;
        for tool in [Tool::NativeInplace, Tool::NativeCopy, Tool::Rsc] {
            let usage = best(tool, &server, &[]).await?;
            report.figure(format!("{name}, {rows} rows: {}", tool.name()), usage.seconds, "s");
        }
    }
    Ok(())
}

/// Row changes that wait in the binlog while nobody keeps the stream.
async fn catch_up(rows: u64, report: &mut Report) -> Outcome<()> {
    let server = start(POOL)?;
    let rows = rows.min(500_000);
    fill(&server, Shape::Usual, rows).await?;
    let mut conn = server.conn().await?;
    conn.query_drop("USE bench").await?;
    conn.query_drop(HOT).await?;
    let spread = (
        "UPDATE bench.t SET amount = amount + 1".to_owned(),
        rows as f64,
        "catch-up: row changes applied, spread keys",
        50_000.0,
    );
    let hot = (
        "CALL bench.hot(400000)".to_owned(),
        400_000.0,
        "catch-up: row changes applied, one hot key",
        200_000.0,
    );
    for (statement, changes, name, bar) in [spread, hot] {
        let usage = migrate(&server, "FORCE", &["--agent", "none"]).await?;
        conn.query_drop(&statement).await?;
        settle_binlog(&mut conn).await?;
        let reverted = process::run(rsc(&server, &["revert", &id(&usage)])).await?;
        report.at_least(name, changes / reverted.seconds, bar, "/s");
        complete(&server, &usage).await?;
    }
    Ok(())
}

const HOT: &str = "CREATE PROCEDURE hot(n int) BEGIN DECLARE i int DEFAULT 0; START TRANSACTION; \
    WHILE i < n DO UPDATE bench.t SET amount = i WHERE id = 7; SET i = i + 1; END WHILE; COMMIT; END";

async fn settle_binlog(conn: &mut mysql_async::Conn) -> Outcome<()> {
    Ok(conn.query_drop("FLUSH BINARY LOGS").await?)
}

const SWAPS: usize = 50;

/// One process keeps the stream; others ask it to swap.
async fn freeze(rows: u64, report: &mut Report) -> Outcome<()> {
    let server = start(POOL)?;
    let rows = rows.min(500_000);
    fill(&server, Shape::Usual, rows).await?;
    let load = Load::start(&server, 8, Some(1_000.0), rows).await?;
    let (mut staying, id) = stay(&server, &[]).await?;
    for turn in 0..SWAPS {
        let verb = if turn % 2 == 0 { "revert" } else { "reapply" };
        process::run(rsc(&server, &[verb, &id])).await?;
        sleep(Duration::from_millis(200)).await;
    }
    load.stop().await?;
    staying.kill().await?;
    let part = |name: &str| format!("CAST(detail->'$.{name}' AS DOUBLE)");
    let parts = ["freeze_ms", "lock_wait_ms", "drain_ms", "apply_ms", "rename_ms"].map(part).join(", ");
    let mut conn = server.conn().await?;
    let mut freezes: Vec<(f64, f64, f64, f64, f64)> = conn
        .query(format!(
            "SELECT {parts} FROM _rsc.event WHERE kind = 'swapped' ORDER BY id DESC LIMIT {SWAPS}"
        ))
        .await?;
    freezes.sort_by(|a, b| b.0.total_cmp(&a.0));
    let whole: Vec<f64> = freezes.iter().map(|parts| parts.0).collect();
    report.figure("freeze: swaps", whole.len() as f64, "");
    report.at_most("freeze at 1,000 statements/s: p50", percentile(&whole, 0.5), 20.0, "ms");
    report.at_most("freeze at 1,000 statements/s: p99", percentile(&whole, 0.99), 100.0, "ms");
    for (freeze, lock_wait, drain, apply, rename) in freezes.into_iter().take(3) {
        report.note(format!(
            "a slow freeze: {freeze:.1} ms, of it read {drain:.1}, apply {apply:.1}, rename {rename:.1}; \
             it had waited {lock_wait:.1} for the lock"
        ));
    }
    Ok(())
}

/// `rsc migrate --agent stay`, once the tables are swapped, and the change's number.
async fn stay(server: &Server, more: &[&str]) -> Outcome<(tokio::process::Child, String)> {
    let words = [
        "migrate",
        "--database",
        "bench",
        "--table",
        "t",
        "--alter",
        "FORCE",
        "--no-verify",
        "--agent",
        "stay",
    ];
    let mut command = rsc(server, &[&words, more].concat());
    let child = command.stdout(std::process::Stdio::null()).kill_on_drop(true).spawn()?;
    let mut conn = server.conn().await?;
    loop {
        sleep(Duration::from_millis(100)).await;
        // The journal may not be there yet.
        let found: Result<Option<u64>, _> =
            conn.query_first("SELECT id FROM _rsc.`change` WHERE state = 'revertible'").await;
        if let Ok(Some(id)) = found {
            return Ok((child, id.to_string()));
        }
    }
}

async fn revert(rows: u64, report: &mut Report) -> Outcome<()> {
    let mut seconds = Vec::new();
    for rows in [10_000, rows] {
        let server = start(POOL)?;
        fill(&server, Shape::Usual, rows).await?;
        let (mut staying, id) = stay(&server, &[]).await?;
        let mut best = f64::MAX;
        for verb in ["revert", "reapply", "revert", "reapply", "revert"] {
            sleep(Duration::from_millis(500)).await;
            best = best.min(process::run(rsc(&server, &[verb, &id])).await?.seconds);
        }
        staying.kill().await?;
        report.figure(format!("revert, stream alive, {rows} rows"), best, "s");
        seconds.push(best);
    }
    report.at_most("revert: all rows / 10,000", seconds[1] / seconds[0], 1.5, "x");
    report.at_most("revert: all rows", seconds[1], 1.0, "s");
    Ok(())
}

/// What comparing the two tables adds to the copy, indexes built.
async fn verify(rows: u64, report: &mut Report) -> Outcome<()> {
    let server = start(POOL)?;
    fill(&server, Shape::Usual, rows).await?;
    settle(&server).await?;
    let words = ["migrate", "--database", "bench", "--table", "t", "--alter", "FORCE", "--agent", "none"];
    let usage = process::run(rsc(&server, &words)).await?;
    let mut conn = server.conn().await?;
    let (outcome, compared, seconds): (String, u64, f64) = conn
        .query_first("SELECT outcome, rows_compared, seconds FROM _rsc.verify ORDER BY id DESC LIMIT 1")
        .await?
        .ok_or("nothing was verified")?;
    if outcome != "equal" || compared < rows {
        return Err(format!("{compared} rows were compared: {outcome}").into());
    }
    complete(&server, &usage).await?;
    let took = |state| usage.seconds_in(state);
    report.figure("verify: time", seconds, "s");
    report.figure("verify: time / copying the rows", seconds / took("copying"), "x");
    let copy = took("copying") + took("indexing");
    report.at_most("verify: time / copying the rows and building the indexes", seconds / copy, 0.25, "x");
    Ok(())
}

/// Long enough for many ranges.
const COMPARING: Duration = Duration::from_secs(60);

/// What comparing the tables again and again adds to following the stream. As a rule a pass rests for `--verify-every`; here
/// one follows another, so this is the most that it ever costs.
async fn background(rows: u64, report: &mut Report) -> Outcome<()> {
    let server = start(POOL)?;
    let rows = rows.min(1_000_000);
    fill(&server, Shape::Usual, rows).await?;
    let load = Load::start(&server, 4, Some(400.0), rows).await?;
    let mut cores = Vec::new();
    for (every, name) in [("0", "following alone"), ("1s", "comparing as well")] {
        let (mut staying, id) = stay(&server, &["--verify-every", every]).await?;
        sleep(Duration::from_secs(5)).await;
        let (cpu, began) = (server_cpu(&server).await, Instant::now());
        let (rate, seen) = load
            .during(felt(&server, async {
                sleep(COMPARING).await;
                Ok(None)
            }))
            .await;
        let (seen, busy) = (seen?, (server_cpu(&server).await - cpu) / began.elapsed().as_secs_f64());
        cores.push(busy);
        report.figure(format!("background, {name}: cores of the server"), busy, "");
        report.figure(format!("background, {name}: statements/s"), rate, "/s");
        report.figure(format!("background, {name}: probe, p50"), percentile(&seen, 0.5), "ms");
        report.figure(format!("background, {name}: probe, p99"), percentile(&seen, 0.99), "ms");
        let mut conn = server.conn().await?;
        let compared: Option<u64> = conn
            .query_first(format!(
                "SELECT CAST(SUM(rows_compared) AS UNSIGNED) FROM _rsc.verify WHERE change_id = {id}"
            ))
            .await?
            .flatten();
        report.figure(format!("background, {name}: rows compared"), compared.unwrap_or(0) as f64, "");
        staying.kill().await?;
        process::run(rsc(&server, &["complete", &id])).await?;
    }
    load.stop().await?;
    report.at_most("background: cores of the server, with it - without", cores[1] - cores[0], 0.1, "");
    Ok(())
}
