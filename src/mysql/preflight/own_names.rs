//! Tables of rsc itself go with their changes.

use super::Facts;
use crate::error::Told;
use crate::mysql::{leftover, shadow};

pub fn check(facts: &Facts) -> Option<Told> {
    let name = &facts.table.name;
    (leftover::is_twin(name) || shadow::is_probe(name)).then(|| {
        Told::new(format!("{} is a name that rsc gives to tables of its changes", name.plain())).next(
            "to end such a change, `rsc complete` or `rsc cancel`; what `rsc list` says is left of none, drop with the mysql client",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::facts::sample;
    use super::*;

    #[test]
    fn names_of_twins_and_probes_are_refused_and_no_others() {
        let refused = |name: &str| {
            let mut facts = sample();
            facts.table.name.table = name.into();
            check(&facts).is_some()
        };
        for name in ["_rsc1_users_old", "_rsc12_t_new", "_rsc_probe_0123456789ab"] {
            assert!(refused(name), "{name}");
        }
        for name in ["rsc1_users_old", "_rsc_users_old", "_rsc1_users", "_rscx_t_new", "_rsc1_old"] {
            assert!(!refused(name), "{name}");
        }
    }
}
