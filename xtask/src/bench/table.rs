//! Tables in Markdown: written, and read again for the plot.

use std::fmt;

pub struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|cell| (*cell).to_owned()).collect(), rows: Vec::new() }
    }

    /// The numbers of a column; `None` where there is none.
    pub fn numbers(&self, column: &str) -> Vec<Option<f64>> {
        let at = self.head.iter().position(|head| head == column);
        self.rows.iter().map(|row| number(row.get(at?)?)).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", self.head.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(self.head.len()))?;
        self.rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}

/// All tables of a text.
pub fn tables(markdown: &str) -> Vec<Table> {
    let mut tables = Vec::new();
    let mut lines = markdown.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with('|') && lines.peek().is_some_and(|next| next.starts_with("|---")) {
            lines.next();
            let rows = std::iter::from_fn(|| lines.next_if(|line| line.starts_with('|'))).map(cells);
            tables.push(Table { head: cells(line), rows: rows.collect() });
        }
    }
    tables
}

fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// The number that a cell begins with.
fn number(cell: &str) -> Option<f64> {
    cell.split_whitespace().next()?.trim_start_matches('×').replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut table = Table::new(&["a", "b"]);
        table.rows.push(vec!["1,234 ms".to_owned(), "–".to_owned()]);
        table.rows.push(vec!["× 5".to_owned(), "5 %".to_owned()]);
        let text = format!("words\n\n{table}\nwords | with | bars\n\n{table}");
        let read = tables(&text);
        assert_eq!(read.len(), 2);
        assert_eq!(read[1].to_string(), table.to_string());
        assert_eq!(read[0].numbers("a"), [Some(1234.0), None]);
        assert_eq!(read[0].numbers("b"), [None, Some(5.0)]);
        assert_eq!(read[0].numbers("c"), [None, None]);
    }
}
