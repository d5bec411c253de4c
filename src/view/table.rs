//! Rows of text in columns.

use super::document::{Document, columns, padded};

/// How much of a cell is shown.
const LONGEST: usize = 300;

/// Returns a cell as one line, so that nothing in it can look like a row of its own.
fn one_line(cell: &str) -> String {
    let shown = cell.replace('\n', "\\n").replace('\r', "\\r");
    match shown.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    }
}

/// Adds rows in columns, each as wide as what is in it.
pub fn fill(rows: &[Vec<String>], document: &mut Document) {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| one_line(cell)).collect())
        .collect();
    let count = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| columns(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| padded(cell, *width))
            .collect();
        document.line(cells.join("  "));
    }
}
