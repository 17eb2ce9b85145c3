//! What the server does not show to an account is unknown, not absent.

use mysql_async::prelude::Queryable;

use crate::support::account::{Account, BASE, LOCKS, PROCESS, TRIGGER, reasons};
use crate::support::process::{Ended, bare};
use crate::support::server::{Options, Server};
use crate::support::table::Table;

async fn filled() -> Table {
    let mut table = Table::create("id int PRIMARY KEY, a int").await;
    table.fill("id, a", "i, i", 100).await;
    table
}

/// One reason has both texts.
fn has(ended: &Ended, what: &str, next: &str) {
    assert_eq!(ended.code, 3, "{ended:#?}");
    let reasons = reasons(ended);
    assert!(
        reasons.iter().any(|(w, n)| w.contains(what) && n.contains(next)),
        "{what}, {next}: {reasons:#?}"
    );
}

const ADD: &str = "ADD COLUMN c int";

#[tokio::test]
async fn each_right_to_see_that_is_missing_is_a_refusal_with_its_grant() {
    for (rights, what, next) in [
        (vec![PROCESS], "has triggers is unknown", "GRANT TRIGGER ON"),
        (vec![TRIGGER], "foreign keys of other schemas point at", "GRANT PROCESS ON *.* TO"),
    ] {
        let mut table = filled().await;
        let few = Account::with(&mut table, "few", &[&BASE[..], &rights].concat()).await;
        for verb in ["plan", "migrate"] {
            has(&few.alter(verb, ADD, &[]).await, what, next);
        }
        assert_eq!(table.tables().await, ["t"], "nothing was touched");
        let refused = few.alter("plan", ADD, &[]).await;
        let reason = reasons(&refused).into_iter().find(|(w, _)| w.contains(what)).unwrap();
        table.run(reason.1.split("; or").next().unwrap()).await;
        let id = few.alter("migrate", ADD, &[]).await.well().last_line()["id"].as_u64().unwrap();
        for verb in ["revert", "reapply", "complete"] {
            few.ask(verb, id).await.well();
        }
    }
}

#[tokio::test]
async fn an_operator_who_knows_better_goes_there_and_back_unseen() {
    let mut table = filled().await;
    let few = Account::with(&mut table, "few", &BASE).await;
    let plan = few.alter("plan", ADD, &["--allow-unseen"]).await.well();
    for unknown in ["has triggers is unknown", "GRANT PROCESS"] {
        assert!(plan.stdout.contains(unknown), "{plan:#?}");
    }
    let ended = few.alter("migrate", ADD, &["--allow-unseen"]).await.well();
    let id = ended.last_line()["id"].as_u64().unwrap();
    for verb in ["revert", "reapply", "complete"] {
        few.ask(verb, id).await.well();
    }
    // The server does it itself, and breaks nothing.
    few.alter("migrate", "ADD COLUMN d int", &["--strategy", "instant"]).await.well();
}

#[tokio::test]
async fn a_trigger_is_seen_or_unknown_and_never_left_behind() {
    for (right, what) in [(Some(TRIGGER), "has triggers"), (None, "has triggers is unknown")] {
        let mut table = filled().await;
        let rights = [&BASE[..], &[PROCESS], right.as_slice()].concat();
        let few = Account::with(&mut table, "few", &rights).await;
        table.run("CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.a = NEW.a * 2").await;
        has(&few.alter("migrate", ADD, &[]).await, what, "TRIGGER");
        assert_eq!(table.all::<String>("SELECT EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = SCHEMA()").await, ["t"]);
    }
}

#[tokio::test]
async fn a_foreign_key_of_an_unseen_schema_is_named_or_unknown() {
    for (right, next) in [
        (Some(PROCESS), "child` DROP FOREIGN KEY `hidden`"),
        (Some(LOCKS), "child` DROP FOREIGN KEY …"),
        (None, "GRANT PROCESS ON *.*"),
    ] {
        let mut table = filled().await;
        let far = format!("{}_far", table.schema);
        let rights = [&BASE[..], &[TRIGGER], right.as_slice()].concat();
        let few = Account::with(&mut table, "few", &rights).await;
        table.run(&format!("CREATE DATABASE {far}")).await;
        table
            .run(&format!(
                "CREATE TABLE {far}.child (p int, CONSTRAINT hidden FOREIGN KEY (p) REFERENCES {}.t (id))",
                table.schema
            ))
            .await;
        for verb in ["plan", "migrate"] {
            has(&few.alter(verb, ADD, &[]).await, "foreign keys", next);
        }
        let drop = format!("DROP TABLE {}.t", table.schema);
        has(&few.run(&["migrate", "--alter", &drop]).await, "foreign keys", next);
        // The last window of the change is applied by a session whose locks are looked at, where PROCESS is missing.
        table.run(&format!("DROP TABLE {far}.child")).await;
        if right.is_some() {
            let ended = few.alter("migrate", ADD, &[]).await.well();
            let id = ended.last_line()["id"].as_u64().unwrap();
            table
                .run(&format!(
                    "CREATE TABLE {far}.child (p int, CONSTRAINT hidden FOREIGN KEY (p) REFERENCES {}.t (id))",
                    table.schema
                ))
                .await;
            let refused = few.ask("revert", id).await;
            assert_eq!(refused.code, 6, "{refused:#?}");
            assert!(refused.stdout.contains(next), "{refused:#?}");
            table.run(&format!("DROP TABLE {far}.child")).await;
            few.ask("revert", id).await.well();
        }
    }
}

#[tokio::test]
async fn rights_of_a_role_count_when_it_is_active() {
    let mut table = filled().await;
    let few = Account::with(&mut table, "few", &BASE).await;
    let role = format!("role_{}", table.schema);
    for sql in [
        format!("CREATE ROLE {role}"),
        format!("GRANT {} TO {role}", TRIGGER.replace("{s}", &table.schema)),
        format!("GRANT {PROCESS} TO {role}"),
        format!("GRANT {role} TO {}@'%'", few.name),
    ] {
        table.run(&sql).await;
    }
    let refused = few.alter("migrate", ADD, &[]).await;
    has(&refused, "has triggers is unknown", "SET DEFAULT ROLE");
    let (_, next) = reasons(&refused).pop().unwrap();
    let activate = next.split("; or").find(|part| part.contains("SET DEFAULT ROLE")).unwrap();
    table.run(&activate[activate.find("SET DEFAULT").unwrap()..]).await;
    few.alter("migrate", ADD, &[]).await.well();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_partial_revokes_take_away_is_missing() {
    let server = Server::start(Options::default().with("--partial-revokes=ON")).unwrap();
    let mut conn = server.conn().await.unwrap();
    let all = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, LOCK TABLES, CREATE TEMPORARY TABLES, TRIGGER, \
         REPLICATION SLAVE, REPLICATION CLIENT";
    conn.query_drop(format!(
        "CREATE DATABASE d; CREATE DATABASE other; CREATE TABLE d.t (id int PRIMARY KEY, a int); \
         CREATE TABLE other.child (p int, CONSTRAINT hidden FOREIGN KEY (p) REFERENCES d.t (id)); \
         CREATE USER few; GRANT {all} ON *.* TO few"
    ))
    .await
    .unwrap();
    let port = server.port().to_string();
    let few = async |clauses: &str| {
        let connection = ["--host", "127.0.0.1", "--port", &port, "--user", "few", "--output", "json"];
        let what = ["migrate", "--database", "d", "--table", "t", "--alter", clauses];
        bare(&[&connection[..], &what].concat()).run().await
    };
    has(&few(ADD).await, "foreign keys", "DROP FOREIGN KEY `hidden`");
    conn.query_drop(format!("REVOKE {} ON other.* FROM few", all.split(", REPLICATION").next().unwrap()))
        .await
        .unwrap();
    // SELECT on all but that schema shows it the locks.
    has(&few(ADD).await, "one of other.child, which this account may not see", "DROP FOREIGN KEY …");
    conn.query_drop("DROP TABLE other.child; GRANT PROCESS ON *.* TO few; REVOKE TRIGGER ON d.* FROM few")
        .await
        .unwrap();
    has(&few(ADD).await, "has triggers is unknown", "GRANT TRIGGER ON `d`.*");
    conn.query_drop("GRANT TRIGGER ON d.* TO few; REVOKE LOCK TABLES ON d.* FROM few").await.unwrap();
    has(&few(ADD).await, "lacks privileges", "GRANT LOCK TABLES ON `d`.*");
    conn.query_drop("GRANT LOCK TABLES ON d.* TO few").await.unwrap();
    few(ADD).await.well();
}

#[tokio::test]
async fn a_journal_that_may_not_be_read_is_not_taken_for_none() {
    let mut table = filled().await;
    let id = table.migrated("DROP COLUMN a", &[]).await;
    let some = ["SELECT ON {s}.*", "SELECT ON _rsc.meta", "SELECT ON _rsc.`change`"];
    let nobody = Account::with(&mut table, "nobody", &some[..1]).await;
    let few = Account::with(&mut table, "few", &some).await;
    let number = id.to_string();
    for account in [&nobody, &few] {
        for words in [
            &["list"][..],
            &["status", &number],
            &["losses", &number],
            &["verify", &number],
            &["revert", &number],
            &["complete", &number],
            &["cancel", &number],
            &["agent", "--until-idle"],
        ] {
            let ended = account.run(words).await;
            has(&ended, "whether there are changes is unknown", "GRANT SELECT ON `_rsc`.* TO");
        }
        let ended = account.alter("migrate", "ADD COLUMN b int", &["--allow-unseen"]).await;
        has(&ended, "whether there are changes is unknown", "GRANT SELECT ON `_rsc`.* TO");
        assert!(!ended.stdout.contains("DROP TABLE"), "{ended:#?}");
    }
    table.asked("revert", id).await;
    table.asked("complete", id).await;
}

#[tokio::test]
async fn tables_that_may_not_be_seen_are_not_taken_for_gone() {
    let mut table = filled().await;
    let id = table.migrated("MODIFY COLUMN a varchar(20)", &[]).await;
    let clerk = Account::with(&mut table, "clerk", &["SELECT ON `_rsc`.*"]).await;
    let losses = clerk.ask("losses", id).await;
    has(&losses, "are in the tables", "GRANT SELECT ON");
    let status = clerk.ask("status", id).await.well().last_line();
    assert_eq!(status["verdict"]["verdict"], "unknown", "{status:#}");
    for statement in ["DROP TABLE IF EXISTS", "ALTER TABLE"] {
        let statement = format!(
            "{statement} {}.t{}",
            table.schema,
            if statement.starts_with('A') { " FORCE" } else { "" }
        );
        has(&clerk.run(&["migrate", "--alter", &statement]).await, "is unknown", "GRANT");
    }
    clerk.grant(&mut table, "SELECT ON {s}.*").await;
    clerk.ask("losses", id).await.well();
    let status = clerk.ask("status", id).await.well().last_line();
    assert_eq!(status["verdict"]["verdict"], "catching_up", "{status:#}");
    table.asked("complete", id).await;
}
