//! The committed files as text: what every rule reads.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use super::Finding;
use super::rust::blanked;

/// Folders that hold no committed text.
const SKIPPED: &[&str] = &[".git", "target", "node_modules", "__pycache__", ".pytest_cache"];

/// One committed text file.
pub(crate) struct SourceFile {
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and literals replaced by spaces; the same length, so offsets and lines agree.
    pub(crate) code: String,
}

impl SourceFile {
    fn new(path: &str, text: &str) -> Self {
        let code = if is_kind(path, "rs") { blanked(text) } else { String::new() };
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }

    fn is_rust(&self) -> bool {
        is_kind(&self.path, "rs")
    }

    /// Rust that ships, as opposed to tests and benchmarks.
    fn is_shipped(&self) -> bool {
        self.is_rust() && (self.path.starts_with("src/") || self.path.starts_with("replay/src/"))
    }

    pub(crate) fn line_at(&self, offset: usize) -> usize {
        self.text[..offset].matches('\n').count() + 1
    }

    pub(crate) fn finding(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding { place: format!("{}:{line}", self.path), what: what.into() }
    }

    /// The module path below the crate: `src/proxy/relay.rs` is `["proxy", "relay"]`, `src/lib.rs` is empty.
    pub(crate) fn module(&self) -> Vec<&str> {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let stem = inside.strip_suffix(".rs").unwrap_or(inside);
        let mut parts: Vec<&str> = stem.split('/').collect();
        if matches!(parts.last(), Some(&("mod" | "lib" | "main"))) {
            parts.pop();
        }
        parts
    }

    /// The offset at which the trailing test module starts.
    pub(crate) fn tests_at(&self) -> usize {
        if self.path.ends_with("tests.rs") || self.path.contains("/tests/") {
            return 0;
        }
        let attributes = self.code.match_indices("#[cfg(test)]");
        let mut modules = attributes.filter(|(at, _)| {
            let item = self.code[*at..].lines().find(|line| !line.trim_start().starts_with("#["));
            item.is_some_and(|line| line.starts_with("mod "))
        });
        modules.next().map_or(self.code.len(), |(at, _)| at)
    }
}

pub(crate) fn is_kind(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

/// All committed files: the text of those that are text, and the path of every file and folder.
pub(crate) struct Tree {
    pub(crate) files: Vec<SourceFile>,
    pub(crate) paths: BTreeSet<String>,
}

pub(crate) static REPOSITORY: LazyLock<Tree> = LazyLock::new(|| {
    let mut tree = Tree { files: Vec::new(), paths: BTreeSet::new() };
    tree.read(Path::new(env!("CARGO_MANIFEST_DIR")), "");
    tree
});

impl Tree {
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut paths = BTreeSet::new();
        for (path, _) in files {
            paths.extend(path.match_indices('/').map(|(at, _)| path[..at].to_owned()));
            paths.insert((*path).to_owned());
        }
        Self {
            files: files.iter().map(|(path, text)| SourceFile::new(path, text)).collect(),
            paths,
        }
    }

    fn read(&mut self, root: &Path, folder: &str) {
        let Ok(entries) = fs::read_dir(root.join(folder)) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            if is_folder {
                self.read(root, &path);
            } else if let Ok(text) = fs::read_to_string(entry.path()) {
                self.files.push(SourceFile::new(&path, &text));
            }
            self.paths.insert(path);
        }
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| file.is_rust())
    }

    pub(crate) fn shipped(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| file.is_shipped())
    }

    pub(crate) fn gateway(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| file.is_rust() && file.path.starts_with("src/"))
    }

    pub(crate) fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files.iter().find(|file| file.path == path)
    }

    pub(crate) fn is_folder(&self, path: &str) -> bool {
        let inside = format!("{path}/");
        self.paths.range(inside.clone()..).next().is_some_and(|next| next.starts_with(&inside))
    }
}
