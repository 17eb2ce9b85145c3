//! What the server does not show to the account is not absent: it is unknown, and a reason against the change unless the
//! operator knows better.

use super::Facts;
use crate::error::Told;
use crate::mysql::attached::Unseen;
use crate::schema::kind::Kind;

/// A table that goes keeps its triggers, and a table that comes has nothing yet that could be unseen.
pub fn unknown(kind: Kind, facts: &Facts) -> Vec<Told> {
    let counts = |unseen: &&Unseen| match (kind, unseen) {
        (Kind::Alter, _) | (Kind::Drop, Unseen::Keys) => true,
        (Kind::Drop, Unseen::Triggers) | (Kind::Create, _) => false,
    };
    let counting = facts.unseen.iter().filter(counts);
    counting.map(|unseen| unseen.told(&facts.grants, &facts.table.name)).collect()
}

/// The same as reasons against it.
pub fn against(unknown: Vec<Told>) -> Vec<Told> {
    let otherwise = |told: Told| {
        let next = format!("{}; or, if you know that there is none, --allow-unseen", told.next);
        told.next(next)
    };
    unknown.into_iter().map(otherwise).collect()
}

#[cfg(test)]
mod tests {
    use super::super::facts::sample;
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_named_with_its_grant() {
        let mut facts = sample();
        assert_eq!(unknown(Kind::Alter, &facts), []);
        facts.unseen = vec![Unseen::Triggers, Unseen::Keys];
        let reasons = against(unknown(Kind::Alter, &facts));
        let nexts: Vec<&str> = reasons.iter().map(|told| told.next.as_str()).collect();
        let or = "; or, if you know that there is none, --allow-unseen";
        assert_eq!(
            nexts,
            [
                format!("GRANT TRIGGER ON `d`.* TO 'root'@'%'{or}"),
                format!("GRANT PROCESS ON *.* TO 'root'@'%'{or}")
            ]
        );
        assert_eq!(unknown(Kind::Drop, &facts).len(), 1);
        assert_eq!(unknown(Kind::Create, &facts), []);
    }
}
