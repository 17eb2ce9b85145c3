//! `rsc losses <id>`: what was written under the new schema that the old one cannot show.

use super::{Context, sql_error, unseen};
use crate::cli::LossesOptions;
use crate::engine::sides::Sides;
use crate::engine::trouble::Trouble;
use crate::error::{Error, Told};
use crate::journal::fence;
use crate::journal::record::Change;
use crate::lifecycle::state::Serving;
use crate::mysql::losses::{self, Own};
use crate::output::LossReport;
use crate::session::Session;

pub async fn run(context: &Context, options: &LossesOptions) -> Result<(), Error> {
    let id = options.id;
    let (mut session, change) = context.change(id).await?;
    if change.state.ended() || change.state.before_first_swap() {
        return Err(Error::Refused(
            Told::new(format!(
                "the change is {}: there is nothing that another schema would not show",
                change.state
            ))
            .state("nothing was touched")
            .next(format!("to see where it stands, `rsc status {id}`")),
        ));
    }
    let totals = losses::totals(&mut session, id).await.map_err(sql_error)?;
    let parked = losses::parked(&mut session, id, options.limit).await.map_err(sql_error)?;
    let lost = losses::losses(&mut session, id, options.limit).await.map_err(sql_error)?;
    let own = own_values(&mut session, &change, options.limit).await?;
    let alive = fence::owner(&mut session, id).await.map_err(sql_error)?.is_some_and(|owner| owner.alive);
    let unseen = match change.serving {
        Serving::New => unseen::look(&context.server, &mut session, &change, alive).await?,
        Serving::Old => None,
    };
    context.printer.losses(&LossReport {
        change: &change,
        totals,
        parked: &parked,
        lost: &lost,
        own: &own,
        limit: options.limit,
        unseen: unseen.as_ref(),
    });
    Ok(())
}

async fn own_values(session: &mut Session, change: &Change, limit: u64) -> Result<Vec<Own>, Error> {
    if change.options.kind.whole() {
        return Ok(Vec::new());
    }
    let looked = Sides::look(session, change).await;
    let grant = super::grant_to_see(session, change).await?;
    let sides = looked.map_err(|trouble| match trouble {
        Trouble::Denied(why) => Error::Refused(
            Told::new(format!("the values that only one schema has are in the tables: {why}"))
                .state("nothing was touched")
                .next(grant),
        ),
        trouble => Error::Unexpected(Told::new(trouble.why())),
    })?;
    let table = match sides.serving {
        Serving::New => &sides.live.name,
        Serving::Old => &sides.shadow.name,
    };
    losses::own_values(session, &sides.forward(), table, limit).await.map_err(sql_error)
}
