//! Why rsc does not take a statement, and what to write instead.

use sqlparser::tokenizer::TokenizerError;

/// Each message is one sentence that ends in what to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "the statement is empty: give an ALTER TABLE statement or its clauses, such as `DROP COLUMN title`"
    )]
    Empty,
    #[error(
        "the statement changes nothing: add at least one clause after the table name, or FORCE for a rebuild"
    )]
    NoClause,
    #[error(
        "there is more than one statement: give one for each change; an ALTER TABLE may have many clauses, separated by commas"
    )]
    SeveralStatements,
    #[error(
        "a quote or comment is opened and never closed: close it, or double the quote if it belongs to the text"
    )]
    Unterminated(#[source] TokenizerError),
    #[error(
        "the server does not read `{around}` as it looks, from its {sign} on: write plain blanks, quotes and comments there"
    )]
    ReadOtherwise { sign: String, around: String },
    #[error("the parentheses do not match: check those around column lists, ENUM values and expressions")]
    Parentheses,
    #[error("`{0}` is not ALTER TABLE: give an ALTER TABLE statement or only its clauses")]
    OtherStatement(String),
    #[error("`{0}` cannot be given here, where a table is altered: run it with the mysql client")]
    TableStatement(String),
    #[error(
        "a temporary table is one session's own, which no change is about: leave TEMPORARY out, or run the statement there"
    )]
    Temporary,
    #[error(
        "a change is about one table, so that each can be taken back by itself: give each DROP TABLE as a change of its own"
    )]
    SeveralTables,
    #[error("no table name follows TABLE: write it there, in backquotes if it is a reserved word")]
    NoNameInStatement,
    #[error("`{0}` is not part of MySQL's DROP TABLE: leave it out")]
    UnknownPart(String),
    #[error(
        "CREATE TABLE … SELECT makes a table and copies rows in one transaction: create the table, and fill it then with INSERT … SELECT"
    )]
    CreateSelect,
    #[error("the table would not be there before a commit that nobody makes: leave START TRANSACTION out")]
    StartTransaction,
    #[error("an index is changed here by a clause of ALTER TABLE: write `{0}`")]
    IndexStatement(String),
    #[error("`{0}` is not part of MySQL's ALTER TABLE: leave it out")]
    NotMySql(String),
    #[error("no table name follows ALTER TABLE: write it there, in backquotes if it is a reserved word")]
    NoTableName,
    #[error("`{0}` cannot be read as a clause of ALTER TABLE: check its spelling and the commas around it")]
    UnknownClause(String),
    #[error("`{0}` lacks a column name: write it, in backquotes if it is a reserved word")]
    NoColumnName(String),
    #[error(
        "a table is not renamed by a schema change: leave `{0}` out, and run RENAME TABLE when the change is complete"
    )]
    TableRename(String),
    #[error("rsc chooses the algorithm itself: leave `{0}` out")]
    Algorithm(String),
    #[error("rsc never locks the table for long and needs no LOCK clause: leave `{0}` out")]
    Lock(String),
    #[error(
        "a version comment means something else on each server: write what is in `{0}` plainly, or leave it out"
    )]
    VersionComment(String),
    #[error("optimizer hints have no place in ALTER TABLE: leave `{0}` out")]
    Hint(String),
    #[error("`{0}` loses or exchanges rows, which no schema change may: run it with the mysql client")]
    PartitionRows(String),
    #[error("`{0}` looks after partitions and changes no schema: run it with the mysql client")]
    PartitionUpkeep(String),
    #[error(
        "`{0}` takes the table's file away or brings another, with other rows: run it with the mysql client"
    )]
    Tablespace(String),
    #[error("`{0}` has no effect on a table that is in InnoDB already: leave it out")]
    Ignored(String),
    #[error("tables are kept in InnoDB: leave out the engine {0}")]
    Engine(String),
    #[error("foreign keys are not supported in this version of rsc: make the change without `{0}`")]
    ForeignKey(String),
    #[error("`{0}` has no effect on InnoDB: leave it out")]
    Keys(String),
    #[error("InnoDB keeps rows in the order of the primary key: leave `{0}` out")]
    OrderBy(String),
    #[error("every row is checked while it is copied: leave `{0}` out")]
    Validation(String),
    #[error(
        "the statement says database `{statement}` and --database says `{option}`: make them agree or leave one out"
    )]
    OtherDatabase { statement: String, option: String },
    #[error(
        "the statement says table `{statement}` and --table says `{option}`: make them agree or leave one out"
    )]
    OtherTable { statement: String, option: String },
    #[error("no database is named: give --database, or write ALTER TABLE database.table")]
    NoDatabase,
    #[error("no table is named: give --table, or write ALTER TABLE and its name before the clauses")]
    NoTable,
}
