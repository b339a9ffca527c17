//! The one place that reads the process's environment and working directory, once, into a value that tests can make up.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Limit: numbered keys of one pool.
const POOL_MAX: usize = 99;

/// A snapshot of the variables and the working directory.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    directory: PathBuf,
}

impl Environment {
    /// The process's own. Variables that are not Unicode are left out: no setting can be made of them.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        Self { variables, directory }
    }

    /// A made-up one, standing in `directory`.
    pub fn new<'a>(
        directory: &Path,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        Self { variables, directory: directory.to_owned() }
    }

    /// The value of `name`, trimmed; an empty variable counts as absent, as shells leave it so.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Names of the variables that begin with `prefix` and are set, sorted.
    pub fn starting_with(&self, prefix: &str) -> impl Iterator<Item = &str> {
        let names = self.variables.range(prefix.to_owned()..).map(|(name, _)| name.as_str());
        let prefix = prefix.to_owned();
        names
            .take_while(move |name| name.starts_with(&prefix))
            .filter(|name| self.get(name).is_some())
    }

    /// The variables of a pool that are set: `NAME`, then `NAME_1` to `NAME_99`, each with its value.
    pub fn pool(&self, name: &str) -> Vec<(String, &str)> {
        let numbered = (1..=POOL_MAX).map(|number| format!("{name}_{number}"));
        std::iter::once(name.to_owned())
            .chain(numbered)
            .filter_map(|name| self.get(&name).map(|value| (name.clone(), value)))
            .collect()
    }

    /// The first of `names` that is set, with its value.
    pub fn first<'a, 'n>(
        &'a self,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Option<(&'n str, &'a str)> {
        names.into_iter().find_map(|name| Some((name, self.get(name)?)))
    }

    /// The working directory, which relative paths of flags start from.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A path on the command line: `~/` is the home directory where the shell left it (`--flag=~/x`), a relative one starts
    /// from the working directory.
    pub fn flag_path(&self, path: &Path) -> PathBuf {
        match (path.strip_prefix("~"), self.home()) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => self.directory.join(path),
        }
    }

    /// The home directory, for `~/`.
    pub fn home(&self) -> Option<PathBuf> {
        self.get("HOME").or_else(|| self.get("USERPROFILE")).map(PathBuf::from)
    }

    /// `$XDG_CONFIG_HOME`, else `~/.config`.
    pub fn config_home(&self) -> Option<PathBuf> {
        match self.get("XDG_CONFIG_HOME") {
            Some(path) => Some(PathBuf::from(path)),
            None => Some(self.home()?.join(".config")),
        }
    }

    /// `$XDG_DATA_HOME`, else `~/.local/share`.
    pub fn data_home(&self) -> Option<PathBuf> {
        match self.get("XDG_DATA_HOME") {
            Some(path) => Some(PathBuf::from(path)),
            None => Some(self.home()?.join(".local/share")),
        }
    }
}

impl Environment {
    /// Where the store lives when nobody says.
    pub fn default_data_dir(&self) -> PathBuf {
        match self.data_home() {
            Some(home) => home.join("pinhole"),
            None => self.directory.join("pinhole-data"),
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names only: any value may be a credential.
        f.debug_struct("Environment")
            .field("variables", &self.variables.keys())
            .field("directory", &self.directory)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_variables_count_as_absent_and_debug_shows_no_value() {
        let environment =
            Environment::new(Path::new("/w"), [("A", "  "), ("B", " planted-secret ")]);
        assert_eq!(environment.get("A"), None);
        assert_eq!(environment.get("B"), Some("planted-secret"));
        assert_eq!(environment.first(["A", "B"]), Some(("B", "planted-secret")));
        assert!(!format!("{environment:?}").contains("planted-secret"));
    }
}
