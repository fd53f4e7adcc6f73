//! Columns of text, aligned, without borders.

/// Spaces between two columns.
const GAP: &str = "  ";

/// The rows under `head`, each line indented by two spaces.
pub(crate) fn text<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<_> = rows.iter().map(|row| row.to_vec()).collect();
    dynamic(&head.map(str::to_owned), &rows)
}

/// The same for a number of columns that only the data tells; each row has as many as `head`.
pub(crate) fn dynamic(head: &[String], rows: &[Vec<String>]) -> String {
    let all = || std::iter::once(head).chain(rows.iter().map(Vec::as_slice));
    let mut widths = vec![0; head.len()];
    for row in all() {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    all().map(|row| line(row, &widths)).collect()
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
    fn columns_are_aligned() {
        let rows = [["id".to_owned(), "int64".to_owned()], ["größe".to_owned(), String::new()]];
        assert_eq!(text(["name", "type"], &rows), "  name   type\n  id     int64\n  größe\n");
    }
}
