//! Everything that can be lost at the ledger's statements: afterwards it is exact, as if nothing had been.

use crate::support::process::rsc;
use crate::support::shared;
use crate::support::table::Table;

const STATEMENTS: [&str; 5] =
    ["window.park", "window.losses", "window.release", "retry.advance", "retry.commit"];
const KINDS: [(&str, &str); 4] =
    [("before", "kill"), ("after", "kill"), ("before", "cut"), ("after", "lost")];

#[tokio::test]
async fn whatever_is_lost_at_the_ledgers_statements_it_is_exact() {
    let mut table = Table::create(
        "id int PRIMARY KEY, u int NOT NULL, name varchar(5) NOT NULL, title varchar(20), UNIQUE KEY one_u (u)",
    )
    .await;
    table.fill("id, u, name, title", "i, i, 'abc', concat('t', i)", 100).await;
    let id = table.migrated("DROP KEY one_u, MODIFY name varchar(50) NOT NULL, DROP COLUMN title", &[]).await;
    let cases =
        STATEMENTS.iter().flat_map(|name| KINDS.map(|(moment, kind)| format!("{name}.{moment}:{kind}")));
    let (mut parked, mut lost) = (Vec::new(), Vec::new());
    for (c, fault) in cases.enumerate() {
        // One that is in the way, one that comes into the way, and a value that is too long.
        table.run(&format!("INSERT INTO t VALUES ({}, 50, 'new')", 1_000 + c)).await;
        table.run(&format!("UPDATE t SET u = 51 WHERE id = {}", 1 + c)).await;
        table.run(&format!("UPDATE t SET name = 'much too long {c}' WHERE id = {}", 60 + c)).await;
        // And one that a later case lets in, without writing it.
        table
            .run(&format!("INSERT INTO t VALUES ({0}, {0}, 'new'), ({1}, {0}, 'new')", 2_000 + c, 3_000 + c))
            .await;
        if c > 0 {
            table.run(&format!("DELETE FROM t WHERE id = {}", 1_999 + c)).await;
        }
        parked.retain(|key| *key < 3_000);
        parked.extend([1_000 + c, 1 + c, 3_000 + c]);
        parked.sort_unstable();
        lost.push((60 + c, format!("much too long {c}")));
        let words = ["--output", "json", "revert", &id.to_string()];
        let struck = rsc(shared(), &words).env("RSC_FAULT", &fault).run().await;
        assert!(struck.stderr.contains("fault struck"), "{fault} was never struck: {struck:#?}");
        assert_eq!(struck.code, if fault.ends_with("kill") { -1 } else { 6 }, "{fault}: {struck:#?}");
        let refused = loop {
            let ended = table.ask("revert", id).await;
            // The one before is not quite dead.
            if ended.code != 8 {
                break ended;
            }
        };
        assert_eq!(refused.code, 6, "{fault}: {refused:#?}");
        let keys: Vec<usize> = table.all(&format!("SELECT k0 FROM _rsc.parked_{id} ORDER BY k0")).await;
        assert_eq!(keys, parked, "{fault}");
        let values: Vec<(usize, String)> =
            table.all(&format!("SELECT k0, lost FROM _rsc.loss_{id} ORDER BY k0")).await;
        assert_eq!(values, lost, "{fault}");
        let shadow: Vec<(usize, usize, String)> =
            table.all(&format!("SELECT id, u, name FROM _rsc{id}_t_old ORDER BY id")).await;
        let expected: Vec<(usize, usize, String)> = table
            .all(&format!("SELECT id, u, LEFT(name, 5) FROM t WHERE id NOT IN (SELECT k0 FROM _rsc.parked_{id}) ORDER BY id"))
            .await;
        assert_eq!(shadow, expected, "{fault}");
    }
    table.run("UPDATE t SET u = id + 10000").await;
    table.asked("revert", id).await;
    let titles: Vec<(u64, u64)> =
        table.all("SELECT COUNT(*), SUM(title <=> concat('t', id)) FROM t WHERE id <= 100").await;
    assert_eq!(titles, [(100, 100)]);
}
