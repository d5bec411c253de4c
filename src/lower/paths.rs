//! Where the files are that a block names.

use std::path::{Component, Path, PathBuf};

use super::Lowering;
use crate::config::Config;

impl Lowering<'_> {
    /// Returns the full path of a file that is relative to the folder of the block's module.
    pub(super) fn on_host(&self, path: &str) -> PathBuf {
        self.in_module(&self.declaration.address.module_path(), path)
    }

    /// Returns the path of a file that is relative to the folder of a module, from the folder of the fleet on where it is
    /// there, so that no folder of this machine is recorded; else in full.
    pub(super) fn in_fleet(&self, module: &[std::sync::Arc<str>], path: &str) -> String {
        let full = self.in_module(module, path);
        let root = clean(&self.config.cwd.join(&self.config.root));
        full.strip_prefix(root).unwrap_or(&full).display().to_string()
    }

    fn in_module(&self, module: &[std::sync::Arc<str>], path: &str) -> PathBuf {
        let module = self.config.module(module);
        let folder = module.map_or(Path::new(""), |module: &Config| &module.folder);
        clean(&self.config.cwd.join(folder).join(path))
    }
}

/// Returns a path without `.` and `..`.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(clean.pop()),
            part => clean.push(part),
        }
    }
    clean
}
