//! Putting files and folders in place whole: at any moment, a host finds the old version or the
//! new one.

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A complete copy beside its place, on the same disk, waiting to be moved there. Dropped, it is
/// gone, and nothing has happened.
pub struct Staged {
    stage: TempDir,
    new: PathBuf,
    place: PathBuf,
}

impl Staged {
    /// Copies `source`, a file or a folder, to be moved to `folder` under the same name.
    pub fn new(source: &Path, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| {
            format!("cannot make the folder {}: choose another with --to DIR", folder.display())
        })?;
        // A leading dot: hosts that happen to scan now pass it by.
        let stage = tempfile::Builder::new().prefix(".bonafide-").tempdir_in(folder).with_context(|| {
            format!("cannot write in {}: allow it, or choose another folder with --to DIR", folder.display())
        })?;
        let name = source.file_name().context("what is to be installed has no name")?;
        let new = stage.path().join(name);
        copy_tree(source, &new).with_context(|| {
            format!(
                "cannot copy {} to {}; what was installed before is untouched",
                source.display(),
                folder.display()
            )
        })?;
        Ok(Self { new, place: folder.join(name), stage })
    }

    /// Moves the copy to its place and returns that.
    pub fn commit(self) -> Result<PathBuf> {
        // A file gives way to a file at once. A folder doesn't, nor does a file that Windows runs.
        if fs::rename(&self.new, &self.place).is_err() {
            let old = self.stage.path().join("old");
            let aside = fs::rename(&self.place, &old);
            if let Err(error) = fs::rename(&self.new, &self.place) {
                if aside.is_ok() {
                    // The older version goes back; if even that fails, the first error says why.
                    let _ = fs::rename(&old, &self.place);
                }
                let problem =
                    format!("cannot replace {}: close hosts that use it and try again", self.place.display());
                return Err(error).context(problem);
            }
        }
        Ok(self.place)
    }
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return copy_file(from, to);
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy_tree(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Copies and waits for the disk: after a power cut, a file that has its name has its content.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut copy = File::create_new(to)?;
    io::copy(&mut source, &mut copy)?;
    copy.set_permissions(source.metadata()?.permissions())?;
    copy.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_and_folders_replace_older_ones_whole() {
        let home = tempfile::tempdir().unwrap();
        let (from, to) = (home.path().join("from"), home.path().join("not/yet/there"));
        for version in ["one", "two"] {
            write(&from.join("x.clap"), version);
            write(&from.join("x.vst3/Contents/linux").join(version), version);
            for name in ["x.clap", "x.vst3"] {
                let staged = Staged::new(&from.join(name), &to).unwrap();
                assert_eq!(staged.commit().unwrap(), to.join(name));
            }
            assert_eq!(fs::read_to_string(to.join("x.clap")).unwrap(), version);
            assert_eq!(names(&to.join("x.vst3/Contents/linux")), [version], "nothing of the older one");
            assert_eq!(names(&to), ["x.clap", "x.vst3"], "no stage is left");
            fs::remove_dir_all(&from).unwrap();
        }
    }

    #[test]
    fn a_failed_copy_leaves_everything_as_it_was() {
        let home = tempfile::tempdir().unwrap();
        write(&home.path().join("x.clap"), "old");
        let error = Staged::new(&home.path().join("absent/x.clap"), home.path()).err().unwrap();
        assert!(format!("{error:#}").contains("absent"), "{error:#}");
        assert_eq!(names(home.path()), ["x.clap"]);
    }

    #[test]
    fn a_file_in_the_folders_place_is_an_error_that_names_it() {
        let home = tempfile::tempdir().unwrap();
        write(&home.path().join("x.clap"), "new");
        write(&home.path().join("plugins"), "");
        let error = Staged::new(&home.path().join("x.clap"), &home.path().join("plugins")).err().unwrap();
        assert!(error.to_string().contains("--to DIR"), "{error}");
    }
}
