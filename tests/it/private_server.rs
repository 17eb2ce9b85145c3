//! The private server keeps its promises to the tests.

use mysql_async::prelude::Queryable;

use crate::support::shared;

#[tokio::test]
async fn each_test_gets_a_schema_of_its_own() {
    let (one, other) = (shared().fresh_database().await, shared().fresh_database().await);
    assert_ne!(one, other);
    let mut conn = shared().conn().await.unwrap();
    conn.query_drop(format!("CREATE TABLE {one}.t (id int PRIMARY KEY)")).await.unwrap();
    let seen: Vec<String> = conn.query(format!("SHOW TABLES IN {other}")).await.unwrap();
    assert_eq!(seen, Vec::<String>::new());
}
