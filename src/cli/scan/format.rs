//! What a scan can write, and where it goes.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

/// A way to write verdicts down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// In words.
    Text,
    /// A JSON object a line and file.
    Json,
    /// A row a file; with --timeline a row a window.
    Csv,
    /// Audacity's label track, a file each.
    Audacity,
    /// REAPER's regions and markers (CSV), a file each.
    Reaper,
    /// A self-contained page, a file each.
    Html,
    /// An evidence log of all files, which `bonafide verify` checks.
    Log,
}

impl Format {
    /// Whether each judged file has one of its own.
    pub fn one_each(self) -> bool {
        matches!(self, Self::Audacity | Self::Reaper | Self::Html)
    }

    /// End of a file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Json => "jsonl",
            Self::Csv => "csv",
            Self::Audacity => "audacity.txt",
            Self::Reaper => "reaper.csv",
            Self::Html => "html",
            Self::Log => "log.jsonl",
        }
    }
}

/// Where it goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// Standard output.
    Stdout(Format),
    /// One file.
    File(Format, PathBuf),
    /// A folder with an index.
    Folder(Vec<Format>, PathBuf),
}

/// What is meant by `--format` and `--output`, for so many files.
///
/// # Errors
/// What can't be written where it should go, with words on what to do.
pub fn target(formats: &[Format], output: Option<&Path>, files: usize) -> Result<Target, String> {
    let Some(output) = output else {
        return match formats {
            [] => Ok(Target::Stdout(Format::Text)),
            [Format::Log] => Err("a log needs a file\n  what to do: add --output FILE".to_owned()),
            [format] if !format.one_each() || files == 1 => Ok(Target::Stdout(*format)),
            _ => Err(format!(
                "{files} files, and more than standard output can hold\n  what to do: add --output FOLDER"
            )),
        };
    };
    let named = output.extension().and_then(|extension| match extension.to_str()? {
        "html" => Some(Format::Html),
        "csv" => Some(Format::Csv),
        "json" | "jsonl" => Some(Format::Json),
        _ => None,
    });
    let slash = output.as_os_str().to_string_lossy().ends_with(['/', '\\']);
    let one = match formats {
        [] => named,
        [format] => Some(*format),
        _ => None,
    };
    if let Some(format) = one
        && !slash
        && !output.is_dir()
        && (!format.one_each() || files == 1)
    {
        return Ok(Target::File(format, output.to_owned()));
    }
    if output.is_file() {
        let path = output.display();
        return Err(format!(
            "{path}: is a file, and a folder is needed\n  what to do: name a folder after --output"
        ));
    }
    let formats = if formats.is_empty() { vec![Format::Html, Format::Csv] } else { formats.to_vec() };
    Ok(Target::Folder(formats, output.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_things_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let (dir, new) = (folder.path(), folder.path().join("new"));
        let file = |format, name: &str| Ok(Target::File(format, folder.path().join(name)));
        let into = |formats: &[Format], path: &Path| Ok(Target::Folder(formats.to_vec(), path.to_owned()));
        let page = folder.path().join("page.html");
        use Format::{Audacity, Csv, Html, Json, Log, Text};
        assert_eq!(target(&[], None, 9), Ok(Target::Stdout(Text)));
        assert_eq!(target(&[Html], None, 1), Ok(Target::Stdout(Html)));
        assert!(target(&[Html], None, 2).is_err() && target(&[Log], None, 1).is_err());
        assert!(target(&[Json, Csv], None, 1).is_err());
        assert_eq!(target(&[], Some(&page), 1), file(Html, "page.html"));
        assert_eq!(target(&[], Some(&page), 2), into(&[Html, Csv], &page));
        assert_eq!(target(&[Csv], Some(&new), 2), file(Csv, "new"));
        assert_eq!(target(&[Audacity], Some(&new), 2), into(&[Audacity], &new));
        assert_eq!(target(&[Audacity], Some(&new), 1), file(Audacity, "new"));
        assert_eq!(target(&[Csv], Some(dir), 1), into(&[Csv], dir));
        assert_eq!(target(&[], Some(&new), 1), into(&[Html, Csv], &new));
        std::fs::write(&new, "").expect("a file");
        assert!(target(&[Html, Csv], Some(&new), 1).is_err());
    }
}
