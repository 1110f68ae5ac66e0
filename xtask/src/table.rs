//! Plain tables for reports: columns as wide as their widest cell, numbers to the right.

/// Lays out rows under a heading; the first column is flush left, the others flush right.
pub(crate) fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let heading: Vec<String> = heading.iter().map(|&cell| cell.to_owned()).collect();
    let rule: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
    for row in [&heading, &rule].into_iter().chain(rows) {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width - cell.chars().count());
            let (left, right) =
                if column == 0 { ("", padding.as_str()) } else { (padding.as_str(), "") };
            line.extend([left, cell.as_str(), right, "  "]);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_are_aligned() {
        let text = table(
            &["what", "n"],
            &[vec!["a".into(), "10".into()], vec!["bcdef".into(), "7".into()]],
        );
        assert_eq!(text, "what    n\n─────  ──\na      10\nbcdef   7\n");
    }
}
