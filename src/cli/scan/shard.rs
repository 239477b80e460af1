//! `--shard I/N`: a part of the files, for one of N jobs.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::evidence::Hash;

/// One of `count` parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    number: u64,
    count: u64,
}

impl Shard {
    /// Whether a file belongs to it. Its path alone decides, so that files which come or go meanwhile move
    /// no other from one job to another.
    pub fn holds(self, path: &Path) -> bool {
        let Hash(hash) = Hash::of(path.display().to_string().as_bytes());
        let [a, b, c, d, e, f, g, h, ..] = hash;
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) % self.count == self.number - 1
    }

    /// What it is called in names of files.
    pub fn name(self) -> String {
        format!("{}-of-{}", self.number, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((number, count)) if (1..=count).contains(&number) => Ok(Self { number, count }),
            _ => Err("expected I/N, from 1/N to N/N".to_owned()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_belongs_to_one() {
        let shards: Vec<Shard> = (1..=5).map(|i| format!("{i}/5").parse().unwrap()).collect();
        let mut counts = [0; 5];
        for i in 0..1000 {
            let path = format!("archive/{i}.wav");
            let holding: Vec<_> = (0..5).filter(|k| shards[*k].holds(path.as_ref())).collect();
            assert_eq!(holding.len(), 1, "{path}");
            counts[holding[0]] += 1;
        }
        // 200 each, give or take four standard deviations.
        assert!(counts.iter().all(|n| (150..250).contains(n)), "{counts:?}");
        assert!("1/1".parse::<Shard>().unwrap().holds("x".as_ref()));
        for wrong in ["", "1", "0/3", "4/3", "1/0", "-1/3", "1/3/5", "a/b"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
