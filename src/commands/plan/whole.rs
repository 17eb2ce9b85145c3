//! The plan for a CREATE TABLE or DROP TABLE: nothing is copied, so only the freeze has to be measured.

use super::super::judgement::Asked;
use super::super::whole::{Judged, judge};
use super::super::{Context, sql_error};
use super::{AROUND, agent, look_for_holders, warn_of_holder};
use crate::cli::Plan;
use crate::error::{Error, Told};
use crate::journal::record::Options;
use crate::lifecycle::forecast::Forecast;
use crate::mysql::shadow::Probe;
use crate::mysql::volume;
use crate::output::PlanReport;
use crate::schema::kind::Kind;
use crate::schema::revert_report::Report;
use crate::schema::statement::Refusal;
use crate::schema::statement::whole::Whole;
use crate::session::{Session, SqlError};

const NONE: Forecast = Forecast { low: 0.0, likely: 0.0, high: 0.0 };

pub async fn report(
    context: &Context,
    session: &mut Session,
    (plan, options): (&Plan, &Options),
    asked: Asked<'_>,
    read: (Whole, Vec<Refusal>),
) -> Result<PlanReport, Error> {
    let mut judged = judge(context, session, asked, plan.migrate.strategy, read).await?;
    let mut report = PlanReport {
        kind: judged.whole.kind,
        table: judged.name.as_ref().map_or_else(|| "a table that is not named".into(), |name| name.plain()),
        statement: asked.text.to_owned(),
        refused: std::mem::take(&mut judged.reasons),
        nothing: judged.nothing.take(),
        revert_window_s: plan.migrate.revert_window.as_secs(),
        agent: agent(plan.migrate.agent),
        warnings: std::mem::take(&mut judged.warnings),
        ..PlanReport::default()
    };
    if plan.migrate.allow_unseen {
        report.unknown.extend(judged.unknown.iter().map(Told::whole));
    }
    let looked = look(context, session, options, &judged, &mut report).await;
    judged.clear(session).await?;
    looked.map_err(sql_error)?;
    Ok(report)
}

async fn look(
    context: &Context,
    session: &mut Session,
    options: &Options,
    judged: &Judged,
    report: &mut PlanReport,
) -> Result<(), SqlError> {
    if report.refused.is_empty() {
        // The table is brought back, or taken away and kept, with all that is in it.
        report.revert = Some(Report { columns: Vec::new(), rules: Vec::new() });
        let nothing = report.nothing.is_some();
        report.duration = Some(if nothing { NONE } else { AROUND });
        if nothing || report.kind == Kind::Create {
            report.freeze = Some(NONE);
        }
    }
    let Some(old) = &judged.old else { return Ok(()) };
    report.size = Some(volume::size(session, &old.name).await?);
    look_for_holders(session, old, report).await;
    warn_of_holder(options, report);
    if report.refused.is_empty() {
        rehearse(context, session, judged, report).await?;
    }
    Ok(())
}

async fn rehearse(
    context: &Context,
    session: &mut Session,
    judged: &Judged,
    report: &mut PlanReport,
) -> Result<(), SqlError> {
    let Some(old) = &judged.old else { return Ok(()) };
    let took = match Probe::like(session, &old.name).await {
        Ok(probe) => {
            let took = probe.rehearse_move(&context.server, session).await;
            probe.remove(session).await?;
            took
        }
        Err(error) => Err(error),
    };
    match took {
        Ok(took) => {
            let measured = took.iter().map(|took| took.as_secs_f64() * 1000.0).collect();
            report.freeze = Forecast::of_freeze(measured);
        }
        Err(error @ SqlError::Server { .. }) => report.unknown.push(format!(
            "how long whoever uses the table waits at the rename: it could not be rehearsed: {error}"
        )),
        Err(lost) => return Err(lost),
    }
    Ok(())
}
