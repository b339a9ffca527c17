//! Recordings on disk, to be had by their number: a bundle is read from its beginning to its end, a run wants them in the order
//! of their starts and one at a time, and memory must not hold them all.
//!
//! The file has no name from the moment it is open, so it goes when the run does, however that ends. Where a system does not
//! allow that, it is removed when the shelf is dropped. What stands in it is as plain as the bundle it comes from.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::Library;
use crate::recording::{Fault, Recording};

/// See the module.
#[derive(Debug)]
pub struct Shelf {
    file: Mutex<File>,
    /// Where each recording begins, and its length.
    places: Vec<(u64, usize)>,
    end: u64,
    /// What is to be removed in the end.
    path: Option<PathBuf>,
}

impl Shelf {
    /// An empty shelf in a new file, which nobody else may read.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = Mutex::new(options.open(path)?);
        let is_nameless = cfg!(unix) && std::fs::remove_file(path).is_ok();
        let path = (!is_nameless).then(|| path.to_owned());
        Ok(Self { file, places: Vec::new(), end: 0, path })
    }

    /// Puts a recording at the end, and gives its number.
    pub fn push(&mut self, recording: &Recording) -> io::Result<u32> {
        let line = serde_json::to_vec(recording)?;
        let number = u32::try_from(self.places.len())
            .map_err(|_| io::Error::other("a run has at most 4,294,967,295 recordings"))?;
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.end))?;
        file.write_all(&line)?;
        self.places.push((self.end, line.len()));
        self.end += line.len() as u64;
        Ok(number)
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// A recording by its number.
    pub fn get(&self, number: u32) -> io::Result<Recording> {
        let (from, length) = *self.places.get(number as usize).ok_or_else(|| {
            let there = self.places.len();
            io::Error::other(format!("there is no recording {number}, there are {there}"))
        })?;
        let mut line = vec![0; length];
        {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(from))?;
            file.read_exact(&mut line)?;
        }
        Ok(serde_json::from_slice(&line)?)
    }
}

impl Library for Shelf {
    /// Read at once: the pages were written by this process, and are rarely anywhere but in memory.
    async fn load(&self, pair: u32) -> Result<Arc<Recording>, Fault> {
        self.get(pair).map(Arc::new).map_err(|error| Fault {
            source: crate::context::SOURCE.to_owned(),
            kind: "not_recorded".to_owned(),
            detail: Some(format!("the recording cannot be read again: {error}")),
        })
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            // It is a copy; one that cannot be removed harms nobody.
            std::fs::remove_file(path).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{Body, Leg};

    #[tokio::test]
    async fn recordings_are_had_by_number_in_any_order_and_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shelf");
        let mut shelf = Shelf::create(&path).unwrap();
        let made = |n: u32| Recording {
            id: format!("x{n}"),
            request: Leg { body: Body::of(vec![0xff; n as usize]), ..Leg::default() },
            ..Recording::default()
        };
        for number in 0..50 {
            assert_eq!(shelf.push(&made(number)).unwrap(), number);
        }
        for number in [49, 0, 7, 7, 31] {
            assert_eq!(*shelf.load(number).await.unwrap(), made(number));
        }
        assert_eq!(shelf.push(&made(50)).unwrap(), 50, "reading does not move the end");
        assert_eq!(shelf.get(50).unwrap(), made(50));
        let fault = shelf.load(51).await.unwrap_err();
        assert_eq!(fault.kind, "not_recorded");
        assert!(fault.detail.unwrap().contains("no recording 51, there are 51"));
        drop(shelf);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
