//! Which key pages the table and finds a row on either side.

use super::table::{Column, Key, Table, same_name};

/// A key that identifies every row: unique, and without NULLs, prefixes, expressions and approximate numbers.
pub fn identifies_rows(table: &Table, key: &Key) -> bool {
    key.unique
        && !key.parts.is_empty()
        && key.parts.iter().all(|part| {
            !part.prefix
                && !part.nullable
                && part.column.as_deref().and_then(|name| table.column(name)).is_some_and(compares_exactly)
        })
}

/// Types whose `=` and `<` mean the same to us, to an index, and to a reader.
fn compares_exactly(column: &Column) -> bool {
    !matches!(column.data_type.as_str(), "float" | "double" | "json" | "geometry" | "vector" | "bit")
        && !is_spatial(&column.data_type)
        && !column.generated
}

pub fn is_spatial(data_type: &str) -> bool {
    matches!(
        data_type,
        "geometry"
            | "point"
            | "linestring"
            | "polygon"
            | "multipoint"
            | "multilinestring"
            | "multipolygon"
            | "geomcollection"
            | "geometrycollection"
    )
}

/// The columns of a key that `identifies_rows`, in key order.
pub fn column_names(key: &Key) -> Vec<&str> {
    key.parts.iter().filter_map(|part| part.column.as_deref()).collect()
}

/// The keys that identify a row of both tables: pairs of key indexes (`old`, `new`), the best first.
///
/// `pairs` are the column indexes that the projection maps. Both keys must be over exactly the same mapped
/// columns; their order within the key may differ.
pub fn shared(old: &Table, new: &Table, pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let image = |name: &str| -> Option<&str> {
        let (_, n) = pairs.iter().find(|(o, _)| same_name(&old.columns[*o].name, name))?;
        Some(&new.columns[*n].name)
    };
    let mut found = Vec::new();
    for (o, old_key) in old.keys.iter().enumerate().filter(|(_, key)| identifies_rows(old, key)) {
        let Some(mut wanted) = column_names(old_key).into_iter().map(image).collect::<Option<Vec<_>>>()
        else {
            continue;
        };
        wanted.sort_unstable();
        for (n, new_key) in new.keys.iter().enumerate().filter(|(_, key)| identifies_rows(new, key)) {
            let mut names = column_names(new_key);
            names.sort_unstable();
            if names.len() == wanted.len() && names.iter().zip(&wanted).all(|(a, b)| same_name(a, b)) {
                found.push((o, n));
            }
        }
    }
    found
}
