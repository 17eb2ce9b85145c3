//! The parts that need no server: `cargo bench --bench pure`. What each row, change and transaction costs.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mysql_common::binlog::EventStreamReader;
use mysql_common::binlog::consts::BinlogVersion;
use mysql_common::binlog::events::Event;
use rsc::mysql::binlog::reading::{Reading, Watched};
use rsc::rows::compaction::Compaction;
use rsc::rows::gtid_set::{GtidSet, Source};
use rsc::rows::written::Written;
use rsc::schema::table::{Column, TableName};

/// Rows of every type of column, by every kind of event; tests/bytes/main.rs says what is in it.
const BINLOG: &[u8] = include_bytes!("../../tests/bytes/every_type.binlog");
const COLUMNS: &str = include_str!("../../tests/bytes/every_type.tsv");
const MAGIC: usize = 4;

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

/// The events of the file up to the first that the stream does not follow.
fn events() -> Vec<Event> {
    let mut file = &BINLOG[MAGIC..];
    let mut driver = EventStreamReader::new(BinlogVersion::Version4);
    let (mut reading, mut net, mut events) = (Reading::new(watched()), Compaction::new(), Vec::new());
    while let Ok(Some(event)) = driver.read(&mut file) {
        if reading.take(&event, &mut net).is_err() {
            break;
        }
        events.push(event);
    }
    assert!(!net.is_empty(), "the file has no rows that can be read");
    events
}

/// From events to net rows, and from those to SQL. The columns' plan is made once for each map of the table.
fn decoding(criterion: &mut Criterion) {
    let events = events();
    let read = |net: &mut Compaction| {
        let mut reading = Reading::new(watched());
        for event in &events {
            // They were read before.
            let _ = reading.take(event, net);
        }
        reading
    };
    let mut net = Compaction::new();
    let reading = read(&mut net);
    let plan = reading.plan().expect("a map of the table was read");
    let width = columns().len() as u64;
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(net.changes()));
    group.bench_function("events to net rows, every type", |bench| {
        bench.iter_batched_ref(Compaction::new, |net| drop(black_box(read(net))), BatchSize::SmallInput);
    });
    group.throughput(Throughput::Elements(net.entries() as u64 * width));
    group.bench_function("columns to SQL, every type", |bench| {
        let mut text = String::new();
        bench.iter(|| {
            text.clear();
            for (_, row) in net.rows() {
                let fields = plan.fields(&row.image).expect("it was read before");
                for (column, field) in fields.iter().enumerate() {
                    plan.write_literal(column, *field, &mut text).expect("it was read before");
                }
            }
            black_box(text.len())
        });
    });
    group.finish();
}

const CHANGES: u64 = 10_000;
/// About that of a row of the side_by_side table.
const IMAGE: [u8; 180] = [7; 180];

fn compaction(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compaction");
    group.throughput(Throughput::Elements(CHANGES));
    for (name, keys) in [("spread keys", CHANGES), ("one hot key", 1)] {
        group.bench_function(name, |bench| {
            bench.iter_batched_ref(
                Compaction::new,
                |net| {
                    for change in 0..CHANGES {
                        let key = (change % keys).to_le_bytes();
                        net.update(&key, &key, black_box(&IMAGE), Written::ALL);
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

const HOLES: u64 = 10_000;

/// A set as a server with many clients has it for moments: every second number is missing.
fn gtid_sets(criterion: &mut Criterion) {
    let source = Source::new([1; 16], None);
    let mut holed = GtidSet::new();
    (1..=HOLES).for_each(|n| holed.insert(&source, 2 * n));
    let mut whole = GtidSet::new();
    (1..=2 * HOLES).for_each(|n| whole.insert(&source, n));
    let text = holed.to_string();
    let mut group = criterion.benchmark_group("gtid set of 10,000 holes");
    group.bench_function("parse", |bench| bench.iter(|| black_box(&text).parse::<GtidSet>()));
    group.bench_function("subtract", |bench| bench.iter(|| black_box(&whole).subtract(black_box(&holed))));
    group.bench_function("union", |bench| bench.iter(|| black_box(&whole).union(black_box(&holed))));
    group.bench_function("contains set", |bench| {
        bench.iter(|| black_box(&whole).contains_set(black_box(&holed)));
    });
    group.bench_function("insert and remove", |bench| {
        let mut set = holed.clone();
        bench.iter(|| {
            set.insert(&source, HOLES + 1);
            set.remove(&source, HOLES + 1);
        });
    });
    group.finish();
}

criterion_group!(pure, decoding, compaction, gtid_sets);
criterion_main!(pure);
