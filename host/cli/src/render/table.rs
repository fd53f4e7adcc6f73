//! Columns of text, aligned, without borders.

use crate::render::escape;

/// Spaces between two columns.
const GAP: &str = "  ";

/// The rows under `head`, each line indented by two spaces.
pub(crate) fn text<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<_> = rows.iter().map(|row| row.to_vec()).collect();
    dynamic(&head.map(str::to_owned), &rows)
}

/// The same for a number of columns that only the data tells; each row has as many as `head`.
pub(crate) fn dynamic(head: &[String], rows: &[Vec<String>]) -> String {
    let rows = std::iter::once(head).chain(rows.iter().map(Vec::as_slice));
    let safe = |row: &[String]| row.iter().map(|cell| escape::line(cell)).collect::<Vec<_>>();
    let rows: Vec<_> = rows.map(safe).collect();
    let mut widths = vec![0; head.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let padded = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    let text = padded.collect::<Vec<_>>().join(GAP);
    format!("  {}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_leave_its_line() {
        let rows = [["a\n\u{1b}[1m".to_owned(), "b".to_owned()]];
        assert_eq!(text(["n", "t"], &rows), "  n             t\n  a\\n\\u{1b}[1m  b\n");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [["id".to_owned(), "int64".to_owned()], ["größe".to_owned(), String::new()]];
        assert_eq!(text(["name", "type"], &rows), "  name   type\n  id     int64\n  größe\n");
    }
}
