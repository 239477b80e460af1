//! RECORD, the list of sums inside a Python wheel: one `name,sha256=SUM,size` a line.

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// What a RECORD says about one file.
#[derive(Debug, PartialEq)]
pub struct Entry {
    /// SHA-256 in URL-safe Base64 without padding.
    pub sha256: String,
    pub size: u64,
}

/// Looks `name` up in the text of a RECORD.
pub fn find(record: &str, name: &str) -> Result<Entry> {
    // From the right: a name may hold commas, the sum and the size don't.
    let line = record
        .lines()
        .find_map(|line| {
            let (rest, size) = line.rsplit_once(',')?;
            let (member, sum) = rest.rsplit_once(',')?;
            (member == name).then_some((sum, size))
        })
        .with_context(|| format!("RECORD does not list {name}"))?;
    let sha256 = line
        .0
        .strip_prefix("sha256=")
        .with_context(|| format!("RECORD gives {name} the sum {:?}, not a sha256", line.0))?;
    let size = line.1.parse().with_context(|| format!("RECORD gives {name} the size {:?}", line.1))?;
    Ok(Entry { sha256: sha256.to_owned(), size })
}

impl Entry {
    /// Checks that `bytes` are the ones that this entry stands for.
    pub fn check(&self, bytes: &[u8]) -> Result<()> {
        let size = bytes.len() as u64;
        if size != self.size {
            bail!("it holds {size} bytes where RECORD says {}", self.size);
        }
        let sha256 = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(bytes));
        if sha256 != self.sha256 {
            bail!("its sha256 is {sha256} where RECORD says {}", self.sha256);
        }
        Ok(())
    }

    /// The line that a RECORD holds when this entry is filed under `name`.
    pub fn line(&self, name: &str) -> String {
        format!("{name},sha256={},{}\n", self.sha256, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0";

    fn record() -> String {
        format!("a/x,sha256=AAAA,9\nlib,v1.so,sha256={ABC},3\nbad,md5=00,3\nodd,sha256=A,x\nRECORD,,\n")
    }

    #[test]
    fn finds_a_name_with_a_comma() {
        let entry = find(&record(), "lib,v1.so").unwrap();
        assert_eq!((entry.sha256.as_str(), entry.size), (ABC, 3));
    }

    #[test]
    fn its_own_line_reads_back() {
        let entry = find(&record(), "lib,v1.so").unwrap();
        assert_eq!(find(&entry.line("lib.so"), "lib.so").unwrap(), entry);
    }

    #[test]
    fn tells_the_right_bytes_from_wrong_ones() {
        let entry = find(&record(), "lib,v1.so").unwrap();
        entry.check(b"abc").unwrap();
        assert!(entry.check(b"abd").unwrap_err().to_string().contains("sha256"));
        assert!(entry.check(b"abcd").unwrap_err().to_string().contains("4 bytes"));
    }

    #[test]
    fn says_what_is_wrong_with_a_line() {
        for (name, problem) in [
            ("x", "does not list x"),
            ("bad", "not a sha256"),
            ("odd", "the size \"x\""),
            ("RECORD", "not a sha256"),
        ] {
            let error = find(&record(), name).unwrap_err().to_string();
            assert!(error.contains(problem), "{name}: {error}");
        }
    }
}
