//! `rsc plan`: what a change would do, what it would cost, and what a revert would bring back. Nothing of it stays on
//! the server.

mod gate;
mod whole;

use std::time::Duration;

use super::judgement::{Asked, Judgement, Trial, checks_get_other_names, judge, refused_for};
use super::{Context, limits, migrate, sql_error};
use crate::cli::{Agent, Plan, Strategy};
use crate::engine;
use crate::error::{Error, Told};
use crate::journal::record::Options;
use crate::lifecycle::forecast::Forecast;
use crate::lifecycle::retention::shorter_than_window;
use crate::mysql::losses::differs;
use crate::mysql::prepared;
use crate::mysql::sample::{self, Sample};
use crate::mysql::shadow;
use crate::mysql::swap::{blockers, sees_blockers};
use crate::mysql::transactions::{self, Sight};
use crate::mysql::volume::{self, Folder, Folders, Size};
use crate::mysql::{ahead, census, indexes, retention};
use crate::output::{Disk, Holders, PlanReport, Sampled, duration};
use crate::rows::statements::Statements;
use crate::schema::deferral::{KeyText, deferrable};
use crate::schema::projection::{Mapping, TargetOnly};
use crate::schema::revert_report::Report;
use crate::schema::statement::whole::Whole;
use crate::schema::table::Table;
use crate::session::{Session, SqlError};

pub async fn run(context: &Context, plan: &Plan, database: Option<&str>) -> Result<(), Error> {
    let Some(text) = plan.migrate.statement()? else {
        return Err(Error::Usage(
            Told::new("a plan is made for a change that does not exist yet")
                .state("nothing was touched")
                .next("give --alter or --alter-file; where a change stands, `rsc status` says"),
        ));
    };
    let mut session = context.session().await?;
    let options = migrate::options(&plan.migrate)?;
    limits::examine(context, &mut session, &options.limits).await?;
    let allow_unseen = plan.migrate.allow_unseen || plan.migrate.strategy == Strategy::Instant;
    let (reading, table) = (plan.migrate.reading(context).await?, plan.migrate.table.as_deref());
    let asked = Asked { text: &text, database, table, allow_unseen, reading: &reading };
    let mut report = match Whole::read_in(&text, Some(&reading.mode)) {
        Some(read) => whole::report(context, &mut session, (plan, &options), asked, read).await?,
        None => altered(context, &mut session, (plan, &options), asked).await?,
    };
    report.failed = gate::failed(plan, &report);
    context.printer.plan(&report);
    let reasons: Vec<Told> = report.refused.into_iter().chain(report.failed).collect();
    match reasons.is_empty() {
        true => Ok(()),
        false => Err(refused_for(reasons)),
    }
}

async fn altered(
    context: &Context,
    session: &mut Session,
    (plan, options): (&Plan, &Options),
    asked: Asked<'_>,
) -> Result<PlanReport, Error> {
    let mut judged = judge(context, session, asked).await?;
    let mut report = PlanReport {
        table: table_name(&judged, asked),
        statement: asked.text.to_owned(),
        refused: std::mem::take(&mut judged.reasons),
        revert_window_s: plan.migrate.revert_window.as_secs(),
        agent: agent(plan.migrate.agent),
        ..PlanReport::default()
    };
    if plan.migrate.allow_unseen {
        report.unknown.extend(judged.unknown.iter().map(Told::whole));
    }
    let looked = look(context, session, (plan, options), &judged, &mut report).await;
    judged.clear(session).await?;
    looked.map_err(sql_error)?;
    Ok(report)
}

fn table_name(judged: &Judgement, asked: Asked<'_>) -> String {
    match (&judged.facts, judged.alter.resolve(asked.database, asked.table)) {
        (Some(facts), _) => facts.table.name.plain(),
        (None, Ok(name)) => name.plain(),
        (None, Err(_)) => "a table that is not named".into(),
    }
}

fn agent(agent: Agent) -> &'static str {
    match agent {
        Agent::Auto => "auto",
        Agent::Stay => "stay",
        Agent::None => "none",
    }
}

async fn look(
    context: &Context,
    session: &mut Session,
    (plan, options): (&Plan, &Options),
    judged: &Judgement,
    report: &mut PlanReport,
) -> Result<(), SqlError> {
    let Some(facts) = &judged.facts else {
        report.unknown.push("all else: there is no table to look at".into());
        return Ok(());
    };
    let table = &facts.table;
    let size = volume::size(session, &table.name).await?;
    report.size = Some(size);
    report.binlogs_kept_s = Some(retention::kept_s(session).await?);
    look_for_holders(session, table, report).await;
    match &judged.trial {
        Some(trial) => look_at_trial(context, session, options, judged, (table, size, trial), report).await?,
        None => report.unknown.push(
            "what the statement makes, how long it takes and what a revert brings: it could not be tried"
                .into(),
        ),
    }
    warn(plan, options, report);
    Ok(())
}

async fn look_for_holders(session: &mut Session, table: &Table, report: &mut PlanReport) {
    match prepared::look(session, &table.name).await {
        Ok(held) if held.any() => report.warnings.push(format!(
            "{}; migrate waits for it before it copies",
            held.waits_for(&table.name)
        )),
        Ok(held) if !held.unseen() => {}
        _ => report.unknown.push(
            "whether a prepared XA transaction holds the table: the account has neither XA_RECOVER_ADMIN nor SELECT on \
             performance_schema.*"
                .into(),
        ),
    }
    if sees_blockers(session).await {
        report.holders = Some(Holders(blockers(session, &table.name).await));
    } else {
        report.unknown.push(
            "who holds the table now: the account may not SELECT on performance_schema.*, or the server does not \
             keep its metadata locks there"
                .into(),
        );
    }
    if transactions::sight(session).await == Sight::Nowhere {
        report.unknown.push(
            "who reads with a snapshot that the swap makes too old: the account has neither PROCESS nor SELECT on \
             performance_schema.*, or the server does not keep its transactions there; nobody is waited for, and they get \
             error 1412, as after a native ALTER"
                .into(),
        );
    }
}

async fn look_at_trial(
    context: &Context,
    session: &mut Session,
    options: &Options,
    judged: &Judgement,
    (table, size, trial): (&Table, Size, &Trial),
    report: &mut PlanReport,
) -> Result<(), SqlError> {
    let server = &context.server;
    if report.refused.is_empty() {
        let not_instant = shadow::not_instant(server, session, &table.name, &judged.alter).await?;
        report.instant = Some(not_instant.is_none());
    }
    report.warnings.extend(checks_get_other_names(table, &trial.after));
    let Some(mapping) = &trial.mapping else {
        report.not_revertible = true;
        report.unknown.push("how long it takes: rows cannot be kept in both tables".into());
        return Ok(());
    };
    report.revert = Some(Report::of(mapping));
    let forward = Statements::new(mapping.forward(), table.name.clone(), trial.after.name.clone())
        .meaning_of(&trial.meaning);
    report.warnings.extend(trial.notes.iter().cloned());
    report.rows = rows(session, mapping, &forward, trial, report).await?;
    let keys = choose_indexes(session, table, trial, options, report).await?;
    look_at_disk(context, session, &forward, (size, &keys), report).await?;
    if trial.misfits {
        report.unknown.push("how long it takes: rows do not fit the new definition".into());
    } else {
        look_at_time(context, session, &forward, (table, trial), options, keys, report).await?;
    }
    look_at_freeze(context, session, trial, report).await
}

/// How many rows have what a revert is to bring back, or do not fit.
async fn rows(
    session: &mut Session,
    mapping: &Mapping,
    forward: &Statements,
    trial: &Trial,
    report: &mut PlanReport,
) -> Result<Vec<(String, u64)>, SqlError> {
    let (mut names, mut conditions) = (Vec::new(), Vec::new());
    // What an expression gave cannot be told from what was written.
    let told = |only: &&TargetOnly| !only.column.extra.to_uppercase().contains("DEFAULT_GENERATED");
    for dropped in mapping.inverse().target_only.iter().filter(told) {
        names.push(dropped.column.name.clone());
        conditions.push(differs(dropped));
    }
    if trial.misfits {
        for limited in ahead::limited(forward) {
            names.push(limited.source.name.clone());
            conditions.push(format!("NOT {}", limited.fits));
        }
    }
    let counted = census::count(session, forward.source(), &conditions).await?;
    if counted.is_none() {
        report
            .unknown
            .push("how many rows are concerned: the table is too large to be counted for that".into());
    }
    Ok(names.into_iter().zip(counted.unwrap_or_default()).collect())
}

async fn choose_indexes(
    session: &mut Session,
    table: &Table,
    trial: &Trial,
    options: &Options,
    report: &mut PlanReport,
) -> Result<Vec<KeyText>, SqlError> {
    use crate::journal::record::DeferIndexes;
    let Some(mapping) = &trial.mapping else { return Ok(Vec::new()) };
    let old = (options.defer_indexes != DeferIndexes::Always).then_some(table);
    let keys = deferrable(&trial.after, old, &mapping.forward().target_key);
    if keys.is_empty() {
        return Ok(keys);
    }
    let against = engine::against_deferring(session, options.defer_indexes).await?;
    report.not_deferred = against.map(str::to_owned);
    Ok(if against.is_some() { Vec::new() } else { keys })
}

/// The sample of each kind of copy takes about so long.
const SAMPLE: Duration = Duration::from_millis(400);
/// What every change takes besides: the second table, the stream, the swap.
const AROUND: Forecast = Forecast { low: 0.1, likely: 0.5, high: 3.0 };

async fn look_at_time(
    context: &Context,
    session: &mut Session,
    forward: &Statements,
    (table, trial): (&Table, &Trial),
    options: &Options,
    keys: Vec<KeyText>,
    report: &mut PlanReport,
) -> Result<(), SqlError> {
    let server = &context.server;
    let threads = engine::copy_threads(server, session, options.copy_threads).await?;
    let sample = |sampled: Result<Sample, SqlError>| match sampled {
        Ok(sample) => Ok(Ok(sample)),
        Err(error @ SqlError::Server { .. }) => Ok(Err(error.to_string())),
        Err(lost) => Err(lost),
    };
    let filled = sample(sample::copied(server, session, forward, threads, SAMPLE).await)?;
    let mut bare = None;
    if !keys.is_empty() {
        match indexes::leave_off(session, &trial.after.name, &keys, "/* rsc plan */").await? {
            true => bare = Some(sample(sample::copied(server, session, forward, threads, SAMPLE).await)?),
            false => report.not_deferred = Some("the server would not build them in place".into()),
        }
    }
    let (filled, copied) = match (filled, bare) {
        (Ok(filled), Some(Ok(bare))) => (filled, Some(bare)),
        (Ok(filled), None) => (filled, None),
        (Err(why), _) | (_, Some(Err(why))) => {
            report.unknown.push(format!("how long it takes: rows could not be copied for a sample: {why}"));
            return Ok(());
        }
    };
    let deferred = copied.is_some();
    let sample = copied.as_ref().unwrap_or(&filled);
    let rows = if sample.whole { sample.rows() } else { table.rows_estimate.max(sample.rows()) };
    let Some(copy) = forecast(rows, sample) else {
        // An empty table.
        report.duration = Some(AROUND);
        return Ok(());
    };
    report.sampled = Some(Sampled {
        sessions: threads,
        rows: sample.rows(),
        seconds: sample.rounds.iter().map(|round| round.seconds).sum(),
    });
    let written =
        copy.and(Forecast::writing(report.disk.iter().take(WRITTEN).filter_map(|disk| disk.bytes).sum()));
    report.copy = Some(written);
    report.duration = Some(written.and(AROUND));
    if deferred {
        report.deferred = keys.into_iter().map(|key| key.name).collect();
        let indexes = forecast(rows, &filled).map(|filled| index_build(filled, copy));
        report.indexes = indexes;
        report.duration = indexes.map(|indexes| written.and(indexes).and(AROUND));
    }
    Ok(())
}

fn forecast(rows: u64, sample: &Sample) -> Option<Forecast> {
    let measured: Vec<(u64, f64)> = sample.rounds.iter().map(|round| (round.rows, round.seconds)).collect();
    Forecast::of(rows, &measured)
}

/// What filling the indexes row by row costs in a sample, with all pages at hand, is about what building them in one go
/// costs; see docs/plan.md.
fn index_build(filled: Forecast, bare: Forecast) -> Forecast {
    let likely = (filled.likely - bare.likely).max(bare.likely * 0.1);
    Forecast { low: likely * 0.3, likely, high: likely * 2.5 }
}

async fn look_at_freeze(
    context: &Context,
    session: &mut Session,
    trial: &Trial,
    report: &mut PlanReport,
) -> Result<(), SqlError> {
    let took = match trial.probe.rehearse(&context.server, session).await {
        Ok(took) => took,
        Err(error @ SqlError::Server { .. }) => {
            report
                .unknown
                .push(format!("how long writers wait at the swap: it could not be rehearsed: {error}"));
            return Ok(());
        }
        Err(lost) => return Err(lost),
    };
    report.freeze = Forecast::of_freeze(took.iter().map(|took| took.as_secs_f64() * 1000.0).collect());
    Ok(())
}

/// Of the places in [`PlanReport::disk`], those that the copy writes to: the second table, and the binlog.
const WRITTEN: usize = 2;

async fn look_at_disk(
    context: &Context,
    session: &mut Session,
    forward: &Statements,
    (size, deferred): (Size, &[KeyText]),
    report: &mut PlanReport,
) -> Result<(), SqlError> {
    let here = indexes::machine(&context.server, session).await?.is_some();
    let Folders { data, binlog, sort } = volume::folders(session, here).await?;
    let image = volume::image_bytes(session, forward).await?;
    let binlog_bytes =
        image.map_or_else(|| (size.rows == 0).then_some(0), |image| Some((image * size.rows as f64) as u64));
    let second = size.file_bytes.unwrap_or(0).max(size.data_bytes + size.index_bytes);
    report.disk = vec![
        Disk { what: "the second table", bytes: Some(second), folder: data },
        Disk { what: "the binlog of the copy", bytes: binlog_bytes, folder: binlog },
    ];
    if !deferred.is_empty() {
        report.disk.push(Disk {
            what: "sorting while indexes are built",
            bytes: Some(size.index_bytes),
            folder: sort,
        });
    }
    if !here {
        report.unknown.push("how much disk is free: the server's machine is not this one".into());
    }
    Ok(())
}

fn warn(plan: &Plan, options: &Options, report: &mut PlanReport) {
    let folders: Vec<(Option<u64>, &Folder)> = report.disk.iter().map(|d| (d.bytes, &d.folder)).collect();
    for (i, (_, folder)) in folders.iter().enumerate() {
        let Some(room) = folder.room else { continue };
        let shares = |other: &&(Option<u64>, &Folder)| other.1.room.is_some_and(|r| r.device == room.device);
        if folders[..i].iter().any(|other| shares(&other)) {
            continue;
        }
        let needed: u64 = folders.iter().filter(shares).filter_map(|(bytes, _)| *bytes).sum();
        if needed > room.free_bytes {
            report.warnings.push(format!("there may not be room enough on the disk of {}", folder.path));
        }
    }
    warn_of_holder(options, report);
    let Some(Some(kept_s)) = report.binlogs_kept_s else { return };
    let seconds = |s| duration(Duration::from_secs(s));
    if report.duration.is_some_and(|duration| duration.high > kept_s as f64) {
        report.warnings.push(format!(
            "the change may take longer than the {} for which the server keeps binlogs: if rsc is stopped for that \
             long, it begins anew",
            seconds(kept_s)
        ));
    }
    if shorter_than_window(Some(kept_s), plan.migrate.revert_window.as_secs()).is_some() {
        report.warnings.push(format!(
            "the server keeps binlogs for {}, less than the revert window: when no process has kept the stream for \
             that long, there is no way back any more",
            seconds(kept_s)
        ));
    }
}

fn warn_of_holder(options: &Options, report: &mut PlanReport) {
    if let Some(longest) = report.holders.as_ref().and_then(|holders| holders.0.first())
        && longest.seconds >= options.limits.cutover_lock_timeout.as_secs()
    {
        report.warnings.push(format!(
            "connection {} holds the table for longer than an attempt waits: it would be tried again until that ends",
            longest.connection
        ));
    }
}
