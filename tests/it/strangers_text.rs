//! What a stranger writes: a pipeline plans it before anybody has read it. Whatever the bytes, `rsc plan` runs nothing but
//! its probe, and `rsc migrate` changes no other table.
//!
//! RSC_STRANGER_SEED gives other dice.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Semaphore;

use crate::support::process::rsc;
use crate::support::shared;
use crate::support::table::Table;

/// Each would do more, or something else, if it were read otherwise than the server reads it.
const SEEDS: [&str; 14] = [
    "add column `\u{a0}v` int, add column c int default (5 --\u{a0}v); drop table victim; alter table t add column d int default (6\n)",
    "add column c int; drop table victim",
    "add column c int /*!; drop table victim */",
    "add column c int /*! , rename to stolen */",
    "add column c int comment 'x\\'; drop table victim; -- '",
    "add column c int comment 'x\\', rename to stolen, comment 'y'",
    "add column c int comment \"x\\\", rename to stolen, comment \"y\"",
    "add column c int --\u{a0}\n, rename to stolen",
    "add column c int default (1) --\u{1}, rename to stolen",
    "add column c int #\u{2028}, rename to stolen",
    "add column c int default ('a') /* ' */, rename to stolen -- '",
    "add column c int $$ , rename to stolen $$",
    "add column c char(3) default N'a\\', rename to stolen -- '",
    "add column c int, exchange partition p with table victim",
];

const SIGNS: [&str; 24] = [
    "\u{a0}",
    "\u{2028}",
    "\u{feff}",
    "\u{3000}",
    "\u{1}",
    "--",
    "-- ",
    "--\u{a0}",
    "#",
    "/*",
    "*/",
    "/*!",
    "'",
    "\"",
    "`",
    "\\",
    ";",
    "; drop table victim; ",
    ", rename to stolen",
    "\n",
    "\r",
    "$$",
    "$a$",
    "N'",
];

fn text(dice: &mut StdRng) -> String {
    let mut text = SEEDS[dice.random_range(0..SEEDS.len())].to_owned();
    for _ in 0..dice.random_range(0..4) {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let at = places[dice.random_range(0..places.len())];
        if dice.random_bool(0.7) {
            text.insert_str(at, SIGNS[dice.random_range(0..SIGNS.len())]);
        } else if at < text.len() {
            text.remove(at);
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_strangers_text_touches_nothing_but_its_probe() {
    let seed =
        std::env::var("RSC_STRANGER_SEED").map_or_else(|_| rand::rng().random(), |s| s.parse().unwrap());
    println!("RSC_STRANGER_SEED={seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let mut table = Table::create("id int PRIMARY KEY, v int, `\u{a0}v` int").await;
    table.run("CREATE TABLE victim (id int PRIMARY KEY, v int, `\u{a0}v` int)").await;
    table.run("INSERT INTO t VALUES (1, 1, 1); INSERT INTO victim VALUES (1, 1, 1), (2, 2, 2)").await;
    let before: (String, String) = table.all("SHOW CREATE TABLE t").await.remove(0);
    let texts: Vec<String> =
        SEEDS.iter().map(|seed| (*seed).to_owned()).chain((0..90).map(|_| text(&mut dice))).collect();
    let gate = Arc::new(Semaphore::new(4));
    let mut plans = Vec::new();
    for text in texts {
        let (gate, schema) = (Arc::clone(&gate), table.schema.clone());
        plans.push(tokio::spawn(async move {
            let _turn = gate.acquire().await.unwrap();
            let words = ["plan", "--database", &schema, "--table", "t", "--alter", &text];
            let planned = rsc(shared(), &words).run().await;
            assert!([0, 2, 3].contains(&planned.code), "{text:?}: {planned:#?}");
            planned.code
        }));
    }
    let (mut taken, mut refused) = (0, 0);
    for plan in plans {
        let code = plan.await.unwrap();
        taken += u32::from(code == 0);
        refused += u32::from(code != 0);
    }
    println!("{taken} taken, {refused} refused");
    assert_eq!(table.tables().await, ["t", "victim"]);
    assert_eq!(table.all::<(String, String)>("SHOW CREATE TABLE t").await.remove(0), before);
    assert_eq!(
        table.all::<u64>("SELECT COUNT(*) FROM victim UNION ALL SELECT COUNT(*) FROM t").await,
        [2, 1]
    );
}

/// The server itself prepares one statement and no more, also where rsc had not seen that there are two.
#[tokio::test]
async fn the_server_refuses_to_run_two_statements_for_one() {
    let mut table = Table::create("id int PRIMARY KEY").await;
    table.run("CREATE TABLE victim (id int)").await;
    let address = crate::support::process::address(shared());
    let mut session = rsc::session::Session::operator(&address, None).await.unwrap();
    let two = format!("ALTER TABLE {0}.t ADD COLUMN a int; DROP TABLE {0}.victim", table.schema);
    let refused = session.run_alone_at("shadow.alter", &two).await;
    assert_eq!(refused.unwrap_err().code(), Some(1064));
    assert_eq!(table.tables().await, ["t", "victim"]);
    let one = format!("ALTER TABLE {}.t ADD COLUMN `:a` int COMMENT 'b; :c ?'", table.schema);
    session.run_alone_at("shadow.alter", &one).await.unwrap();
    let comment = "SELECT COLUMN_COMMENT FROM information_schema.COLUMNS WHERE COLUMN_NAME = ':a' AND TABLE_SCHEMA = SCHEMA()";
    assert_eq!(table.all::<String>(comment).await, ["b; :c ?"]);
}
