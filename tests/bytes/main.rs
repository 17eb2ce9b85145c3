//! Damaged bytes: whatever the binlog, a GTID set or a statement in it holds, nothing panics, reads past its end or
//! takes memory without bound.
//!
//! `every_type.binlog` was written by 9.7.4 without checksums, so that what is damaged is looked at: rows of `d.t`,
//! whose columns are in `every_type.tsv`, by every kind of event, one transaction compressed, one in XA form, and
//! statements. `RSC_FUZZ_CASES` sets how many damaged files there are, `RSC_FUZZ_SEED` the first.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mysql_common::binlog::EventStreamReader;
use mysql_common::binlog::consts::{BinlogVersion, EventType};
use mysql_common::binlog::events::{EventData, RowsEventData};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rsc::mysql::binlog::client_text::ClientText;
use rsc::mysql::binlog::foreign_statement;
use rsc::mysql::binlog::reading::{Reading, Watched};
use rsc::mysql::binlog::{ColumnPlan, RowChange};
use rsc::rows::compaction::Compaction;
use rsc::rows::gtid_set::GtidSet;
use rsc::schema::table::{Column, TableName};

/// Counts what this thread has taken and not given back, and the most that it ever was.
struct Counting;

thread_local! {
    static TAKEN: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // At a thread's end there is nothing to count with, and nothing to count.
    let _ = TAKEN.try_with(|taken| {
        taken.set(taken.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(taken.get())));
    });
}

// SAFETY: everything is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The most bytes that this thread took at once during `what`.
fn most_taken(what: impl FnOnce()) -> isize {
    let before = TAKEN.get();
    MOST.set(before);
    what();
    MOST.get() - before
}

const BINLOG: &[u8] = include_bytes!("every_type.binlog");
const COLUMNS: &str = include_str!("every_type.tsv");
const MAGIC: usize = 4;
const HEADER: usize = 19;

/// What a damaged file of a few KiB may take: a payload that is taken apart, and rows written as text, are larger
/// than it.
const TAKEN_MAX: isize = 16 << 20;

const PAYLOAD_MAX: u64 = 1 << 20;

fn columns() -> Vec<Column> {
    let column = |line: &str| {
        let words: Vec<&str> = line.split('\t').collect();
        Column {
            name: words[0].into(),
            data_type: words[1].into(),
            column_type: words[2].into(),
            charset: Some(words[3].to_owned()).filter(|charset| !charset.is_empty()),
            collation: None,
            nullable: true,
            default: None,
            extra: String::new(),
            generated: words[4] == "1",
        }
    };
    COLUMNS.lines().map(column).collect()
}

fn watched() -> Watched {
    Watched {
        table: TableName::new("d", "t"),
        columns: columns(),
        key: vec![0],
        kept: Vec::new(),
        shadow: TableName::new("d", "_rsc1_t_old"),
        mark: "/* rsc change 1 */".into(),
    }
}

/// Whether the next event has the length that it says: the driver takes that for true, and panics where it is not.
fn whole(file: &[u8]) -> Option<()> {
    let length = file.get(9..13).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))?;
    (HEADER..=file.len()).contains(&(length as usize)).then_some(())
}

/// What reading a file came to.
#[derive(Default, Debug)]
struct Seen {
    rows: usize,
    literals: usize,
    /// Bytes of SQL.
    text: usize,
    errors: usize,
}

/// As the product's stream does, and each row is written as SQL.
fn read(mut file: &[u8]) -> Seen {
    let mut driver = EventStreamReader::new(BinlogVersion::Version4);
    let (mut reading, mut net, mut seen) = (Reading::new(watched()), Compaction::new(), Seen::default());
    let mut take = |event: &mysql_common::binlog::events::Event, seen: &mut Seen| {
        if reading.take(event, &mut net).is_err() {
            seen.errors += 1;
            reading = Reading::new(watched());
        }
        let Some(plan) = reading.plan() else { return };
        for (_, row) in net.rows() {
            write(&plan, &row.image, seen);
        }
        // Rows also where the product would have stopped before.
        let kind = event.header().event_type();
        if matches!(
            kind,
            Ok(EventType::WRITE_ROWS_EVENT | EventType::UPDATE_ROWS_EVENT | EventType::DELETE_ROWS_EVENT)
        ) && let Ok(Some(EventData::RowsEvent(rows))) = event.read_data()
        {
            read_rows(&plan, &rows, seen);
        }
        net.clear();
    };
    while let Some(event) = whole(file).and_then(|()| driver.read(&mut file).ok().flatten()) {
        take(&event, &mut seen);
        if event.header().event_type_raw() == EventType::TRANSACTION_PAYLOAD_EVENT as u8
            && let Ok(payload) =
                event.read_event::<mysql_common::binlog::events::TransactionPayloadEvent<'_>>()
        {
            // Here the driver makes room for whatever size is claimed.
            if payload.uncompressed_size() > PAYLOAD_MAX {
                continue;
            }
            let inside = payload.danger_decompress();
            let mut inside = inside.as_slice();
            while let Some(event) =
                whole(inside).and_then(|()| driver.read_decompressed(&mut inside).ok().flatten())
            {
                take(&event, &mut seen);
            }
        }
    }
    seen
}

fn read_rows(plan: &ColumnPlan, rows: &RowsEventData<'_>, seen: &mut Seen) {
    let Ok(changes) = plan.rows(rows) else { return };
    for change in changes.map_while(Result::ok) {
        match change {
            RowChange::Insert(image) | RowChange::Delete(image) => write(plan, image, seen),
            RowChange::Update { before, after } => {
                write(plan, before, seen);
                write(plan, after, seen);
            }
        }
    }
}

fn write(plan: &ColumnPlan, image: &[u8], seen: &mut Seen) {
    let Ok(fields) = plan.fields(image) else { return };
    seen.rows += 1;
    let mut text = String::new();
    for (column, field) in fields.iter().enumerate() {
        if let Some(bytes) = field {
            assert!(bytes.len() <= image.len(), "a field is longer than its row");
        }
        seen.literals += usize::from(plan.write_literal(column, *field, &mut text).is_ok());
    }
    // A JSON value of one byte takes the longest expression: less than 200 characters.
    assert!(text.len() <= 200 * (image.len() + fields.len()), "{} of {} bytes", text.len(), image.len());
    seen.text += text.len();
}

/// Where each event begins, and its length.
fn events(file: &[u8]) -> Vec<(usize, usize)> {
    let (mut at, mut found) = (MAGIC, Vec::new());
    while at + HEADER <= file.len() {
        let length = u32::from_le_bytes(file[at + 9..at + 13].try_into().unwrap()) as usize;
        found.push((at, length));
        at += length;
    }
    found
}

/// One to four damages. The events' own lengths stay true, most of the time, so that what comes after is read.
fn damaged(dice: &mut StdRng) -> Vec<u8> {
    let mut file = BINLOG.to_vec();
    // The first event describes the file itself. The driver alone takes a compressed payload apart, and it panics
    // where the payload is not what it says.
    let payload = EventType::TRANSACTION_PAYLOAD_EVENT as u8;
    let all: Vec<(usize, usize)> =
        events(BINLOG).into_iter().skip(1).filter(|(at, _)| BINLOG[at + 4] != payload).collect();
    for _ in 0..dice.random_range(1..=4) {
        let (at, length) = all[dice.random_range(0..all.len())];
        if length <= HEADER {
            continue;
        }
        let within = at + HEADER + dice.random_range(0..length - HEADER);
        let near_the_front = at + HEADER + dice.random_range(0..(length - HEADER).min(24));
        match dice.random_range(0..8) {
            0 | 1 => file[within] ^= 1 << dice.random_range(0..8),
            2 => {
                file[within] =
                    *[0, 1, 0x7f, 0x80, 0xfb, 0xfc, 0xfd, 0xfe, 0xff].get(dice.random_range(0..9)).unwrap()
            }
            3 => file[near_the_front] = dice.random(),
            4 => {
                let end = (within + dice.random_range(1..=8)).min(at + length);
                file[within..end].fill(0xff);
            }
            5 => {
                let end = (within + dice.random_range(1..=64)).min(at + length);
                dice.fill(&mut file[within..end]);
            }
            6 => file[at + 4] = dice.random_range(0..payload),
            _ => {
                // An event that ends early, or runs on.
                let false_length = dice.random_range(0..2 * length) as u32;
                file[at + 9..at + 13].copy_from_slice(&false_length.to_le_bytes());
            }
        }
    }
    if dice.random_bool(0.1) {
        file.truncate(dice.random_range(MAGIC..file.len()));
    }
    file
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|e| panic!("{name}: {e}")))
}

#[test]
fn the_file_itself_is_read_to_its_end() {
    let seen = read(&BINLOG[MAGIC..]);
    println!("{seen:?}");
    assert!(seen.rows >= 14 && seen.literals == seen.rows * columns().len(), "{seen:?}");
}

#[test]
fn no_damaged_binlog_panics_or_takes_memory_without_bound() {
    let (first, cases) = (setting("RSC_FUZZ_SEED", 1), setting("RSC_FUZZ_CASES", 1_500));
    let (mut most, mut rows, mut errors) = (0, 0, 0);
    for seed in first..first + cases {
        let file = damaged(&mut StdRng::seed_from_u64(seed));
        let mut seen = Seen::default();
        let taken = most_taken(|| {
            let read = catch_unwind(AssertUnwindSafe(|| read(&file[MAGIC..])));
            seen = read.unwrap_or_else(|_| panic!("RSC_FUZZ_SEED={seed} RSC_FUZZ_CASES=1"));
        });
        assert!(taken < TAKEN_MAX, "RSC_FUZZ_SEED={seed} RSC_FUZZ_CASES=1: {taken} bytes");
        (most, rows, errors) = (most.max(taken), rows + seen.rows, errors + seen.errors);
    }
    println!("{cases} damaged files: {rows} rows read, {errors} refusals, at most {most} bytes taken");
    assert!(rows > 0 && errors > 0);
}

/// Text that is nearly a GTID set.
fn gtid_text() -> impl Strategy<Value = String> {
    let uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
    let part = prop_oneof![
        5 => uuid.prop_map(String::from),
        1 => Just("3e11fa47-71ca-11e1-9e33-c80aa9429562".to_owned()),
        4 => "[:][0-9]{1,3}",
        4 => "[:][0-9]{1,2}-[0-9]{1,4}",
        1 => "[:][0-9]{17,22}",
        2 => "[:][a-z_][a-z0-9_]{0,33}",
        2 => Just(",".to_owned()),
        1 => "[ \\n\\t]{1,2}",
        1 => "\\PC{0,3}",
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(setting("RSC_FUZZ_CASES", 1_500) as u32))]

    #[test]
    fn what_parses_as_a_gtid_set_prints_and_parses_again_the_same(text in gtid_text()) {
        if let Ok(set) = text.parse::<GtidSet>() {
            let printed = set.to_string();
            let again: GtidSet = printed.parse().expect("what was printed");
            prop_assert_eq!(&again, &set);
            prop_assert_eq!(again.to_string(), printed);
        }
    }

    #[test]
    fn a_set_of_any_intervals_parses(sets in prop::collection::vec((0..3u8, 1..60u64, 0..9u64), 0..20)) {
        let text: Vec<String> = sets.iter()
            .map(|(source, first, more)| {
                format!("3E11FA47-71CA-11E1-9E33-C80AA942956{source}:{first}-{}", first + more)
            })
            .collect();
        let set: GtidSet = text.join(",\n").parse().expect("a set");
        let again: GtidSet = set.to_string().parse().expect("what was printed");
        prop_assert_eq!(again, set);
    }

    #[test]
    fn any_text_is_a_gtid_set_or_is_not(text: String) {
        let _ = text.parse::<GtidSet>();
    }

    #[test]
    fn any_statement_touches_a_table_or_does_not(text in "\\PC{0,60}", schema in "[a-z]{0,3}") {
        let table = TableName::new("shop", "users");
        let _ = foreign_statement::touches(&schema, &ClientText::plain(&text), &[&table]);
        let _ = foreign_statement::verb(&ClientText::plain(&text));
        for verb in ["ALTER TABLE", "CREATE INDEX i ON", "DROP TABLE", "RENAME TABLE x TO", "/*!", "TRUNCATE"] {
            let _ = foreign_statement::touches(&schema, &ClientText::plain(&format!("{verb} {text} users")), &[&table]);
        }
    }
}
