//! Every session variable of MySQL, and what rsc does about it: the one place where that is decided.
//!
//! # What a session of rsc is
//!
//! A connection is reset (COM_RESET_CONNECTION) before its first statement. That takes back all that `init_connect` did:
//! variables, user variables, an open transaction, LOCK TABLES, temporary tables. Every variable then has the value of
//! `@@GLOBAL`, which is what the server hands to the application. Then one SET gives the pinned ones their value. It names
//! only variables that this server has: they are asked for once in a process and server.
//!
//! # An opened table is shared
//!
//! The server resolves the expressions of a table when a session opens it, keeps the opened table, and gives it to whichever
//! session comes next, the application's too. What is decided then (the digits of a quotient, whether an unsigned difference
//! may be negative) is that of the session that opened it. So no session of rsc may have another value there, also one that
//! only reads: these variables are kept in every session, and NO_UNSIGNED_SUBTRACTION is taken from the server in every
//! sql_mode and every SET_VAR hint.
//!
//! Roles stay as the login made them: which privileges there are is looked at, not assumed.
//!
//! # Three kinds of sessions
//!
//! - [`Role::Control`] reads metadata, the journal and the binlog, and drives. Nothing in it depends on the server's settings.
//! - [`Role::Writer`] makes the server compute the table's own expressions: generated columns, CHECK constraints, defaults,
//!   functional keys. They must come to what the application's sessions would compute, so what they depend on is the server's.
//! - [`Role::Operator`] runs the operator's own text. It must mean what it means in their client, so it differs from a
//!   session of the server only where that would hide its effect, or leave it undone.
//!
//! tests/it/variables.rs holds the list against the server: one that the list lacks fails it. docs/assumptions.md is made
//! from the list.

use std::collections::HashSet;

use Rule::{Control, Inert, Kept, Own, Pinned};

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Control,
    Writer,
    Operator,
}

/// What is done about a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// This value in every session.
    Pinned(&'static str),
    /// This value in rsc's own sessions; the operator's statement has the server's.
    Own(&'static str),
    /// This value in control sessions; whatever computes the table's expressions has the server's.
    Control(&'static str),
    /// The server's, in every session.
    Kept,
    /// Without effect on what rsc does, or not to be changed by a session.
    Inert,
}

#[derive(Clone, Copy, Debug)]
pub struct Variable {
    pub name: &'static str,
    pub rule: Rule,
    pub why: &'static str,
    /// Not every server of MySQL 8.0 and later has it: an older one, a debug build or a plugin does.
    pub elsewhere: bool,
}

impl Variable {
    /// What a session of this role gives the variable; `None`: nothing.
    pub fn value(&self, role: Role) -> Option<&'static str> {
        match (self.rule, role) {
            (Rule::Pinned(value), _)
            | (Rule::Own(value), Role::Control | Role::Writer)
            | (Rule::Control(value), Role::Control) => Some(value),
            (Rule::Own(_), Role::Operator)
            | (Rule::Control(_), Role::Writer | Role::Operator)
            | (Rule::Kept | Rule::Inert, _) => None,
        }
    }
}

/// The assignments for a session of this role, of the variables that `known` has. The names are in lower case.
pub fn assignments(role: Role, known: &HashSet<String>) -> Vec<String> {
    VARIABLES
        .iter()
        .filter(|variable| known.contains(variable.name))
        .filter_map(|variable| Some(format!("{} = {}", variable.name, variable.value(role)?)))
        .collect()
}

const fn is(name: &'static str, rule: Rule, why: &'static str) -> Variable {
    Variable { name, rule, why, elsewhere: false }
}

const fn elsewhere(name: &'static str, rule: Rule, why: &'static str) -> Variable {
    Variable { name, rule, why, elsewhere: true }
}

/// The sql_mode of rsc's own statements. Days that no calendar has pass, as rows hold some; a value that does not fit fails.
pub const OWN_MODE: &str = "CONCAT('STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', \
    IF(FIND_IN_SET('TIME_TRUNCATE_FRACTIONAL', @@GLOBAL.sql_mode), ',TIME_TRUNCATE_FRACTIONAL', ''), \
    IF(FIND_IN_SET('NO_UNSIGNED_SUBTRACTION', @@GLOBAL.sql_mode), ',NO_UNSIGNED_SUBTRACTION', ''))";

const MEMORY: &str = "memory of a statement; how fast, not what";
const PLAN: &str = "how a statement is executed, not what it returns";
const STATUS: &str = "a report, not a setting";
const OWN_BINLOG: &str = "how rsc's own writes are logged; rsc reads the images of the application's writes, each by its own bitmaps";
const ONE_SESSION: &str = "only the session itself sets it, and rsc does not";
const FILES: &str = "SELECT … INTO OUTFILE, which rsc does not use";
const MYISAM: &str = "only for MyISAM tables, which rsc refuses";
const LOG: &str = "what the server's logs show";
const TRACE: &str = "diagnosis of the optimizer; nothing reads it";
const ALLOCATION: &str = "how the server's memory grows";
const TRACKING: &str = "reports to clients that ask for them; the driver does not";
const PLUGIN: &str = "of a plugin; does not concern statements";

/// In the order of the alphabet.
#[rustfmt::skip]
pub const VARIABLES: &[Variable] = &[
    is("auto_increment_increment", Kept, "an AUTO_INCREMENT column that is added numbers the rows as the server does"),
    is("auto_increment_offset", Kept, "as auto_increment_increment"),
    is("autocommit", Pinned("1"), "0 would leave what rsc writes, its journal too, uncommitted; sessions that need 0 set it themselves"),
    is("big_tables", Inert, MEMORY),
    is("binlog_direct_non_transactional_updates", Inert, "only for tables without transactions, which rsc refuses"),
    is("binlog_format", Inert, "the preflight demands ROW of the server; a session changes it only with a privilege, and a change that is logged as a statement ends the stream"),
    is("binlog_row_image", Inert, OWN_BINLOG),
    is("binlog_row_value_options", Inert, OWN_BINLOG),
    is("binlog_rows_query_log_events", Inert, OWN_BINLOG),
    is("binlog_transaction_compression", Inert, OWN_BINLOG),
    is("binlog_transaction_compression_level_zstd", Inert, OWN_BINLOG),
    is("block_encryption_mode", Kept, "AES_ENCRYPT() in an expression"),
    is("bulk_insert_buffer_size", Inert, MYISAM),
    is("character_set_client", Pinned("'utf8mb4'"), "rsc's statements, and the operator's as rsc has it, are UTF-8"),
    is("character_set_connection", Inert, "set by collation_connection"),
    is("character_set_database", Kept, "follows the default schema"),
    is("character_set_filesystem", Inert, FILES),
    is("character_set_results", Pinned("'utf8mb4'"), "names and values are read as UTF-8; another set would lose characters"),
    is("character_set_server", Kept, "a new schema's default; rsc's own tables name theirs"),
    is("collation_connection", Pinned("'utf8mb4_0900_ai_ci'"), "the character set and collation of literals"),
    is("collation_database", Kept, "follows the default schema"),
    is("collation_server", Kept, "as character_set_server"),
    is("completion_type", Pinned("0"), "1 begins a new transaction behind each COMMIT, 2 ends the connection"),
    is("connection_memory_chunk_size", Inert, ALLOCATION),
    is("connection_memory_limit", Inert, "the server ends a connection that exceeds it; a lost connection is made anew"),
    is("cte_max_recursion_depth", Inert, "rsc's statements have no recursion"),
    elsewhere("debug", Inert, "debug builds only"),
    elsewhere("debug_sync", Inert, "debug builds only"),
    is("default_collation_for_utf8mb4", Kept, "the collation of literals in expressions, and of columns that name only utf8mb4"),
    is("default_storage_engine", Control("InnoDB"), "rsc's own tables are InnoDB; a CREATE TABLE of the operator is what the server makes of it"),
    is("default_table_encryption", Kept, "of a schema that is created"),
    is("default_tmp_storage_engine", Own("InnoDB"), "staging tables are rolled back with their transaction"),
    is("default_week_format", Kept, "WEEK() without a mode in an expression"),
    is("div_precision_increment", Kept, "the digits of a quotient in an expression; also where rsc only reads, as below"),
    is("enable_cascade_triggers", Kept, "what a cascade does is the application's business"),
    is("enable_secondary_engine_statistics", Inert, PLAN),
    is("end_markers_in_json", Inert, "EXPLAIN, which rsc does not use"),
    is("eq_range_index_dive_limit", Inert, PLAN),
    is("error_count", Inert, STATUS),
    is("explain_format", Inert, "EXPLAIN, which rsc does not use"),
    is("explain_json_format_version", Inert, "EXPLAIN, which rsc does not use"),
    is("explicit_defaults_for_timestamp", Own("1"), "0 gives a TIMESTAMP the time of the statement where NULL is written; the operator's definition means what it means on the server"),
    is("external_table_secondary_storage_engine", Inert, "external tables, which rsc refuses"),
    is("external_table_storage_engine", Inert, "external tables, which rsc refuses"),
    is("external_user", Inert, STATUS),
    is("foreign_key_checks", Own("1"), "the operator's clause is done as the server does it; only sessions that write a shadow turn it off: mysql/apply.rs"),
    is("generated_random_password_length", Inert, "accounts, which rsc does not make"),
    is("global_connection_memory_tracking", Inert, "a counter"),
    is("group_concat_max_len", Own("1048576"), "the text of an aggregate would be cut"),
    is("group_replication_consistency", Kept, "how long a transaction waits for other members"),
    is("gtid_next", Inert, ONE_SESSION),
    is("gtid_owned", Inert, STATUS),
    is("histogram_generation_max_mem_size", Inert, "ANALYZE, which rsc does not use with histograms"),
    is("identity", Inert, STATUS),
    is("immediate_server_version", Inert, "set by the server's own appliers"),
    is("information_schema_stats_expiry", Own("0"), "AUTO_INCREMENT and sizes are read as they are, not as they were"),
    is("innodb_ddl_buffer_size", Inert, MEMORY),
    is("innodb_ddl_threads", Inert, "how fast an index is built; rsc sets it for its own builds"),
    is("innodb_ft_enable_stopword", Kept, "what a FULLTEXT index leaves out"),
    is("innodb_ft_user_stopword_table", Kept, "what a FULLTEXT index leaves out"),
    elsewhere("innodb_interpreter", Inert, "debug builds only"),
    elsewhere("innodb_interpreter_output", Inert, "debug builds only"),
    is("innodb_lock_wait_timeout", Own("50"), "a batch or window gives up, and is tried again"),
    is("innodb_parallel_read_threads", Inert, "how fast an index is built; rsc sets it for its own builds"),
    is("innodb_strict_mode", Kept, "whether the server takes a row format or row size for an error"),
    is("innodb_table_locks", Own("1"), "LOCK TABLES of a swap locks in InnoDB too"),
    is("innodb_tmpdir", Inert, "where an index build sorts"),
    is("insert_id", Inert, ONE_SESSION),
    is("interactive_timeout", Inert, "rsc's connections are not interactive"),
    is("internal_tmp_mem_storage_engine", Inert, MEMORY),
    is("join_buffer_size", Inert, MEMORY),
    is("keep_files_on_create", Inert, MYISAM),
    is("last_insert_id", Inert, STATUS),
    is("lc_messages", Pinned("'en_US'"), "rsc reads names of keys, and reasons, out of messages"),
    is("lc_time_names", Kept, "names of days and months in an expression"),
    is("lock_wait_timeout", Own("60"), "a statement that waits for a table gives up, and is tried again"),
    is("long_query_time", Inert, LOG),
    is("low_priority_updates", Inert, MYISAM),
    is("max_allowed_packet", Inert, "the server's is read, and statements stay below it"),
    is("max_delayed_threads", Inert, MYISAM),
    is("max_error_count", Kept, "warnings about staged values are read; raising it takes a privilege, so a warning that cannot be read counts as a changed value"),
    is("max_execution_time", Pinned("0"), "a SELECT of rsc would end in the middle"),
    is("max_heap_table_size", Inert, MEMORY),
    is("max_insert_delayed_threads", Inert, MYISAM),
    is("max_join_size", Pinned("18446744073709551615"), "a smaller one refuses statements by the estimate of their rows"),
    is("max_length_for_sort_data", Inert, PLAN),
    is("max_points_in_geometry", Kept, "spatial functions in an expression"),
    is("max_seeks_for_key", Inert, PLAN),
    is("max_sort_length", Own("4096"), "a shorter one would not keep long keys in order"),
    is("max_sp_recursion_depth", Inert, "stored programs, which no expression may call"),
    is("max_user_connections", Inert, "a limit; the server's refusal is told"),
    is("min_examined_row_limit", Inert, LOG),
    is("myisam_sort_buffer_size", Inert, MYISAM),
    is("myisam_stats_method", Inert, MYISAM),
    elsewhere("mysqlx_read_timeout", Inert, "the X protocol, which rsc does not speak"),
    elsewhere("mysqlx_wait_timeout", Inert, "the X protocol, which rsc does not speak"),
    elsewhere("mysqlx_write_timeout", Inert, "the X protocol, which rsc does not speak"),
    is("net_buffer_length", Inert, ALLOCATION),
    is("net_read_timeout", Inert, "how long the server waits for the rest of a statement"),
    is("net_retry_count", Inert, "the server's own network"),
    is("net_write_timeout", Own("600"), "how long the server waits for rsc to take an answer"),
    elsewhere("new", Inert, "without effect since 8.0"),
    is("old_alter_table", Own("0"), "1 copies the table where the server need not"),
    is("optimizer_max_subgraph_pairs", Inert, PLAN),
    is("optimizer_prune_level", Inert, PLAN),
    is("optimizer_search_depth", Inert, PLAN),
    is("optimizer_switch", Inert, "how a statement is executed, not what it returns; rsc names the index and the order of its joins"),
    is("optimizer_trace", Inert, TRACE),
    is("optimizer_trace_features", Inert, TRACE),
    is("optimizer_trace_limit", Inert, TRACE),
    is("optimizer_trace_max_mem_size", Inert, TRACE),
    is("optimizer_trace_offset", Inert, TRACE),
    is("original_commit_timestamp", Inert, "set by the server's own appliers"),
    is("original_server_version", Inert, "set by the server's own appliers"),
    is("parser_max_mem_size", Inert, "a limit; the server's refusal is told"),
    is("preload_buffer_size", Inert, MYISAM),
    is("print_identified_with_as_hex", Inert, "accounts, which rsc does not show"),
    is("profiling", Inert, TRACE),
    is("profiling_history_size", Inert, TRACE),
    is("proxy_user", Inert, STATUS),
    is("pseudo_replica_mode", Inert, ONE_SESSION),
    is("pseudo_slave_mode", Inert, ONE_SESSION),
    is("pseudo_thread_id", Inert, ONE_SESSION),
    is("query_alloc_block_size", Inert, ALLOCATION),
    is("query_prealloc_size", Inert, ALLOCATION),
    is("rand_seed1", Inert, "RAND(), which no stored expression may call; a default that does differs by its nature"),
    is("rand_seed2", Inert, "as rand_seed1"),
    is("range_alloc_block_size", Inert, ALLOCATION),
    is("range_optimizer_max_mem_size", Own("8388608"), "a smaller one reads the whole table for a list of ranges"),
    is("rbr_exec_mode", Inert, ONE_SESSION),
    is("read_buffer_size", Inert, MEMORY),
    is("read_rnd_buffer_size", Inert, MEMORY),
    is("require_row_format", Inert, ONE_SESSION),
    is("restrict_fk_on_non_standard_key", Kept, "which foreign keys the server takes"),
    is("resultset_metadata", Inert, "only for clients that ask for it; the driver does not"),
    is("secondary_engine_cost_threshold", Inert, PLAN),
    is("select_into_buffer_size", Inert, FILES),
    is("select_into_disk_sync", Inert, FILES),
    is("select_into_disk_sync_delay", Inert, FILES),
    is("session_track_gtids", Inert, TRACKING),
    is("session_track_schema", Inert, TRACKING),
    is("session_track_state_change", Inert, TRACKING),
    is("session_track_system_variables", Inert, TRACKING),
    is("session_track_transaction_info", Inert, TRACKING),
    is("set_operations_buffer_size", Inert, MEMORY),
    is("show_create_table_skip_secondary_engine", Pinned("0"), "definitions are read and compared"),
    is("show_create_table_verbosity", Pinned("0"), "definitions are read and compared"),
    is("show_gipk_in_create_table_and_information_schema", Pinned("1"), "a generated invisible primary key is a key, and a column of every row image"),
    elsewhere("show_old_temporals", Pinned("0"), "definitions are read and compared"),
    is("sort_buffer_size", Inert, MEMORY),
    is("sql_auto_is_null", Pinned("0"), "1 makes `IS NULL` find the row inserted last"),
    is("sql_big_selects", Pinned("1"), "0 refuses statements by the estimate of their rows"),
    is("sql_buffer_result", Inert, PLAN),
    is("sql_generate_invisible_primary_key", Kept, "rsc's own tables have a primary key; a CREATE TABLE of the operator is what the server makes of it"),
    is("sql_log_bin", Inert, "only the session itself sets it, with a privilege, and rsc does not; what others write with 0 no one can follow"),
    is("sql_log_off", Inert, LOG),
    is("sql_mode", Control(OWN_MODE), "what a statement means, and what fits; writers have the server's, as described below"),
    is("sql_notes", Own("1"), "warnings are counted and read"),
    is("sql_quote_show_create", Own("1"), "names are read out of definitions; a CHECK constraint is stored in the words that it has in the session that makes it"),
    is("sql_require_primary_key", Kept, "rsc's own tables have a primary key; the server's refusal of the operator's table is told"),
    is("sql_safe_updates", Pinned("0"), "1 refuses statements without a key"),
    is("sql_select_limit", Pinned("18446744073709551615"), "a SELECT of rsc, also of metadata, would end in the middle"),
    is("sql_warnings", Inert, "the text behind an INSERT's answer"),
    is("statement_id", Inert, STATUS),
    is("terminology_use_previous", Own("NONE"), "names in performance_schema and SHOW PROCESSLIST"),
    elsewhere("thread_pool_high_priority_connection", Inert, PLUGIN),
    is("time_zone", Control("'+00:00'"), "TIMESTAMP is written and read in UTC; writers have the server's, as described below"),
    is("timestamp", Inert, "the clock; a reset connection has the server's"),
    is("tmp_table_size", Inert, MEMORY),
    is("transaction_alloc_block_size", Inert, ALLOCATION),
    is("transaction_allow_batching", Inert, "NDB only"),
    is("transaction_isolation", Pinned("'READ-COMMITTED'"), "a batch or a sample locks no row and no gap of the live table, and each statement sees what is committed"),
    is("transaction_prealloc_size", Inert, ALLOCATION),
    is("transaction_read_only", Pinned("0"), "1 refuses all that rsc writes"),
    elsewhere("transaction_write_set_extraction", Inert, "how writes are told apart for group replication"),
    is("unique_checks", Own("1"), "0 lets InnoDB buffer a duplicate past its check"),
    is("updatable_views_with_limit", Inert, "views, which rsc does not write"),
    is("use_secondary_engine", Own("OFF"), "a secondary engine may be behind the table"),
    elsewhere("version_tokens_session", Inert, PLUGIN),
    is("wait_timeout", Pinned("28800"), "a session that rests a while stays; while it holds locks rsc sets seconds"),
    is("warning_count", Inert, STATUS),
    is("windowing_use_high_precision", Inert, "window functions, which neither rsc nor an expression has"),
    is("xa_detach_on_prepare", Inert, "XA, which rsc does not use"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_names_each_once() {
        for pair in VARIABLES.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} stands before {}", pair[0].name, pair[1].name);
        }
    }

    #[test]
    fn only_what_the_server_has_is_set() {
        let known = HashSet::from(["sql_select_limit", "time_zone", "sort_buffer_size"].map(String::from));
        assert_eq!(
            assignments(Role::Control, &known),
            ["sql_select_limit = 18446744073709551615", "time_zone = '+00:00'"]
        );
        assert_eq!(assignments(Role::Operator, &known), ["sql_select_limit = 18446744073709551615"]);
    }

    #[test]
    fn what_expressions_depend_on_is_never_set_in_a_writer() {
        for name in ["time_zone", "lc_time_names", "default_week_format", "div_precision_increment"] {
            let variable = VARIABLES.iter().find(|variable| variable.name == name).expect(name);
            assert_eq!(
                (variable.value(Role::Writer), variable.value(Role::Operator)),
                (None, None),
                "{name}"
            );
        }
    }
}
