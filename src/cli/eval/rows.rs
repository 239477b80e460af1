//! The list of labelled files.

use std::error::Error;
use std::path::{Path, PathBuf};

/// A labelled file.
pub struct Row {
    /// Where it is.
    pub path: PathBuf,
    /// Its label, as written.
    pub label: String,
    /// What the label means.
    pub is_spoof: bool,
    /// Line of the list: the seed of whatever is random about this file.
    pub line: u64,
    /// Every field of the line.
    fields: csv::StringRecord,
}

impl Row {
    /// The field of a column of [`List::column`].
    pub fn field(&self, column: usize) -> &str {
        self.fields.get(column).unwrap_or_default()
    }
}

/// A manifest's rows, those of one split or all.
pub struct List {
    name: String,
    columns: csv::StringRecord,
    /// At least one.
    pub rows: Vec<Row>,
}

impl List {
    /// Reads a CSV file with columns `path` (relative to `root`; default: the file's folder) and
    /// `label`, and `split` where `split` is given.
    ///
    /// # Errors
    /// A file that can't be read, a missing column, an unknown label, no rows.
    pub fn read(file: &Path, root: Option<&Path>, split: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let name = file.display().to_string();
        let mut reader =
            csv::Reader::from_path(file).map_err(|error| format!("{name}: can't be read: {error}"))?;
        let columns = reader.headers()?.clone();
        let mut list = Self { name, columns, rows: Vec::new() };
        let (path, label) = (list.column("path")?, list.column("label")?);
        let split = split.map(|value| Ok::<_, String>((list.column("split")?, value))).transpose()?;
        let root = root.or(file.parent()).unwrap_or(Path::new("."));
        for fields in reader.records() {
            let fields = fields?;
            let field = |column: usize| fields.get(column).unwrap_or_default();
            if split.is_some_and(|(column, value)| field(column) != value) {
                continue;
            }
            let line = fields.position().map_or(0, |position| position.line());
            let is_spoof = match field(label) {
                "spoof" | "fake" => true,
                "bonafide" | "bona-fide" | "real" => false,
                other => {
                    return Err(format!(
                        "{}, line {line}: label '{other}': expected bonafide, real, spoof or fake",
                        list.name
                    )
                    .into());
                }
            };
            let (path, label) = (root.join(field(path)), field(label).to_owned());
            list.rows.push(Row { path, label, is_spoof, line, fields });
        }
        if list.rows.is_empty() {
            return Err(format!("{}: no rows to judge", list.name).into());
        }
        Ok(list)
    }

    /// Position of a column.
    ///
    /// # Errors
    /// There is none of that name; says which there are.
    pub fn column(&self, wanted: &str) -> Result<usize, String> {
        self.columns.iter().position(|column| column == wanted).ok_or_else(|| {
            let found = self.columns.iter().collect::<Vec<_>>().join(", ");
            format!("{}: no column '{wanted}' (found: {found})", self.name)
        })
    }
}
