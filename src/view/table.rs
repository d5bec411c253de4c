//! Rows of text in columns.

use super::document::{Document, columns, padded};

/// Adds rows in columns, each as wide as what is in it.
pub fn fill(rows: &[Vec<String>], document: &mut Document) {
    let count = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| columns(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| padded(cell, *width))
            .collect();
        document.line(cells.join("  "));
    }
}
