//! `rsc revert --compensate`: undoes a change that the server made in place, by another change.

use super::{Context, migrate, sql_error};
use crate::cli::Agent;
use crate::engine::sides::definition;
use crate::error::{Error, Told};
use crate::journal::record::Change;
use crate::lifecycle::state::State;
use crate::mysql::inspect::{self, Found};

pub async fn run(context: &Context, id: u64, keeper: Agent) -> Result<(), Error> {
    let (mut session, change) = context.change(id).await?;
    let Some(in_place) = &change.options.in_place else {
        return Err(refused(
            Told::new(format!("change {id} is not one of --strategy instant: it keeps its old table"))
                .next(format!("rsc revert {id}")),
        ));
    };
    if change.state != State::Completed {
        return Err(refused(
            Told::new(format!("change {id} is {}: it has not changed the table", change.state))
                .next(format!("to see where it stands, `rsc status {id}`")),
        ));
    }
    let live = inspect::find(&mut session, &change.table).await.map_err(sql_error)?;
    let made = definition(&in_place.new_create);
    if !matches!(live, Found::Table(live) if definition(&live.create) == made) {
        return Err(refused(
            Told::new(format!("{} is not as change {id} left it any more", change.table.plain())).next(
                format!(
                    "see what is different; then `rsc migrate` with what is still to be undone of: {}",
                    in_place.compensation
                ),
            ),
        ));
    }
    for loss in &in_place.losses {
        context.printer.remark(&format!("note: {loss}"));
    }
    migrate::anew(context, &in_place.compensation, keeper).await
}

/// Why `rsc revert` does nothing for such a change, and what would be done instead.
pub fn instead(change: &Change) -> Option<Told> {
    let in_place = change.options.in_place.as_ref().filter(|_| change.state == State::Completed)?;
    let losses: String = in_place.losses.iter().map(|loss| format!("; {loss}")).collect();
    let what = format!(
        "the server made change {} on the table itself: there is no old table to swap back",
        change.id
    );
    Some(Told::new(what).state("nothing was changed").next(format!("{}{losses}", hint(change)?)))
}

/// What would undo it.
pub fn hint(change: &Change) -> Option<String> {
    let in_place = change.options.in_place.as_ref()?;
    Some(format!(
        "`rsc revert {} --compensate` runs as an online change: {}",
        change.id, in_place.compensation
    ))
}

fn refused(told: Told) -> Error {
    Error::RevertRefused(told.state("nothing was changed"))
}
