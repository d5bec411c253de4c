//! Files: which ones a fleet consists of, and their texts.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, SourceFile, Span};

/// The files of a fleet, as they were found.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// The folder of the fleet: that of the file, or the folder itself.
    pub folder: PathBuf,
    /// The fleet's text, by name.
    pub fleet: Vec<Arc<SourceFile>>,
    /// The `*.auto.vars.hcl` of the folder, by name.
    pub automatic: Vec<Arc<SourceFile>>,
}

/// The ending of files that hold variables.
const VARIABLES: &str = ".vars.hcl";
/// The ending of files that hold variables and are read without being asked for.
const AUTOMATIC: &str = ".auto.vars.hcl";

/// Reads the files of a fleet: one `*.hcl` file, or all of a folder, in the order of their names. Hidden files and
/// those of variables are left out.
///
/// # Errors
/// Every file that is missing, unreadable or not UTF-8; a folder without a fleet file.
pub fn read(path: &Path) -> Result<Files, Diagnostics> {
    let meta = fs::metadata(path).map_err(|error| missing(path, &error))?;
    if meta.is_dir() {
        return read_folder(path);
    }
    if path.extension().is_none_or(|extension| extension != "hcl") {
        let detail = format!("The name of `{}` does not end in .hcl.", path.display());
        return Err(Diagnostic::error("Not a fleet file", detail)
            .hint("a plan that was kept with `plan --out` is for `simfleet apply` and `simfleet show`")
            .into());
    }
    if file_name(path).ends_with(VARIABLES) {
        let detail = format!("`{}` holds variables, not a fleet.", path.display());
        return Err(Diagnostic::error("Not a fleet file", detail)
            .hint("give it with --var-file, and the fleet's file or folder as the path")
            .into());
    }
    let mut diagnostics = Diagnostics::new();
    let fleet: Vec<_> = diagnostics.keep(read_file(path)).into_iter().collect();
    let folder = folder_of(path);
    let names = list(folder, path == Path::new(file_name(path))).map_err(|error| unreadable(folder, &error))?;
    let automatic = read_all(
        names.into_iter().filter(|path| file_name(path).ends_with(AUTOMATIC)),
        &mut diagnostics,
    );
    match diagnostics.has_errors() {
        true => Err(diagnostics),
        false => Ok(Files {
            folder: folder.to_owned(),
            fleet,
            automatic,
        }),
    }
}

/// Returns the files that a path leads to: itself, or all `*.hcl` files of a folder, those of variables too.
///
/// # Errors
/// There is nothing at the path, or it is a file of another kind.
pub fn files_of(path: &Path) -> Result<Vec<PathBuf>, Diagnostics> {
    let meta = fs::metadata(path).map_err(|error| missing(path, &error))?;
    if meta.is_dir() {
        return list(path, path == Path::new(".")).map_err(|error| unreadable(path, &error));
    }
    match path.extension().is_some_and(|extension| extension == "hcl") {
        true => Ok(vec![path.to_owned()]),
        false => {
            let detail = format!("The name of `{}` does not end in .hcl.", path.display());
            Err(Diagnostic::error("Not a fleet file", detail).into())
        }
    }
}

/// Where the files of modules come from.
#[derive(Debug)]
pub(super) enum Library {
    /// From their folders.
    Disk,
    /// From what was kept with a plan, by folder.
    Kept(BTreeMap<PathBuf, Vec<Arc<SourceFile>>>),
}

impl Library {
    /// Returns a library of files that were kept.
    pub(super) fn kept(files: &[Arc<SourceFile>]) -> Self {
        let mut folders: BTreeMap<PathBuf, Vec<Arc<SourceFile>>> = BTreeMap::new();
        for file in files {
            folders
                .entry(folder_of(&file.path).to_owned())
                .or_default()
                .push(Arc::clone(file));
        }
        Library::Kept(folders)
    }

    /// Returns the files of the module in a folder.
    ///
    /// # Errors
    /// The folder is missing, has no file of a module, or one cannot be read.
    pub(super) fn module(&self, folder: &Path) -> Result<Vec<Arc<SourceFile>>, Diagnostics> {
        match self {
            Library::Disk if folder.is_file() => {
                let detail = format!("`{}` is a file; a module is a folder.", folder.display());
                Err(Diagnostic::error("Not a folder", detail).into())
            }
            Library::Disk if !folder.exists() => {
                let detail = format!("There is no folder `{}`.", folder.display());
                let hint = "`source` is a path from the folder of the file that says it: source = \"./modules/cell\"";
                Err(Diagnostic::error("Folder not found", detail).hint(hint).into())
            }
            Library::Disk => read_folder(folder).map(|files| files.fleet),
            Library::Kept(folders) => Ok(folders.get(folder).cloned().unwrap_or_default()),
        }
    }
}

/// Returns the folder of a file; that of a bare name is the current one.
fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

fn read_folder(folder: &Path) -> Result<Files, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let names = list(folder, folder == Path::new(".")).map_err(|error| unreadable(folder, &error))?;
    let (variables, fleet): (Vec<_>, Vec<_>) = names.into_iter().partition(|path| file_name(path).ends_with(VARIABLES));
    if fleet.is_empty() {
        let detail = format!(
            "The folder `{}` has no fleet file: none of its names ends in .hcl.",
            folder.display()
        );
        return Err(Diagnostic::error("No fleet here", detail)
            .hint("`simfleet init` writes a first one")
            .into());
    }
    let fleet = read_all(fleet.into_iter(), &mut diagnostics);
    let automatic = variables
        .into_iter()
        .filter(|path| file_name(path).ends_with(AUTOMATIC));
    let automatic = read_all(automatic, &mut diagnostics);
    match diagnostics.has_errors() {
        true => Err(diagnostics),
        false => Ok(Files {
            folder: folder.to_owned(),
            fleet,
            automatic,
        }),
    }
}

/// Returns the files of variables beside a fleet that are read without being asked for; none where the folder is gone.
pub(super) fn automatic(path: &Path, diagnostics: &mut Diagnostics) -> Vec<Arc<SourceFile>> {
    let folder = if path.is_dir() { path } else { folder_of(path) };
    let names = list(folder, false).unwrap_or_default();
    let automatic = names.into_iter().filter(|path| file_name(path).ends_with(AUTOMATIC));
    read_all(automatic, diagnostics)
}

fn read_all(paths: impl Iterator<Item = PathBuf>, diagnostics: &mut Diagnostics) -> Vec<Arc<SourceFile>> {
    paths.filter_map(|path| diagnostics.keep(read_file(&path))).collect()
}

/// Returns the `*.hcl` files of a folder, sorted by name; hidden ones (`.terraform.lock.hcl`) and folders are left out.
/// With `bare`, the paths are names without the folder, as the user would type them.
fn list(folder: &Path, bare: bool) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_hcl = name
            .to_str()
            .is_some_and(|name| name.ends_with(".hcl") && !name.starts_with('.'));
        if is_hcl && !fs::metadata(entry.path()).is_ok_and(|meta| meta.is_dir()) {
            paths.push(if bare { PathBuf::from(name) } else { folder.join(name) });
        }
    }
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Reads one file.
///
/// # Errors
/// It is missing, unreadable, not UTF-8, or starts with a byte order mark.
pub fn read_file(path: &Path) -> Result<Arc<SourceFile>, Diagnostics> {
    let bytes = fs::read(path).map_err(|error| missing(path, &error))?;
    decode(path, bytes).map_err(Diagnostics::from)
}

/// Returns the text of a file.
///
/// # Errors
/// It is not UTF-8, or starts with a byte order mark.
pub fn decode(path: &Path, bytes: Vec<u8>) -> Result<Arc<SourceFile>, Diagnostic> {
    const HINT: &str = "save it as UTF-8 without a byte order mark";
    let file = |text: String| {
        Arc::new(SourceFile {
            path: path.to_owned(),
            text,
        })
    };
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let detail = format!("`{}` is UTF-16.", path.display());
        return Err(Diagnostic::error("Not UTF-8", detail).hint(HINT));
    }
    if bytes.starts_with(&[0xef, 0xbb, 0xbf]) {
        let detail = format!("`{}` starts with a byte order mark.", path.display());
        return Err(Diagnostic::error("Byte order mark", detail).hint(HINT));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(file(text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let mut valid = error.into_bytes();
            valid.truncate(at);
            // Up to the fault it is valid, so that the line can be shown.
            let text = String::from_utf8_lossy(&valid).into_owned();
            let detail = format!("Byte {} of `{}` is not UTF-8.", at + 1, path.display());
            let file = file(text);
            let range = at..at;
            Err(Diagnostic::error("Not UTF-8", detail)
                .at(Span { file, range })
                .hint(HINT))
        }
    }
}

fn missing(path: &Path, error: &io::Error) -> Diagnostics {
    if error.kind() != io::ErrorKind::NotFound {
        return unreadable(path, error);
    }
    if let Ok(target) = fs::read_link(path) {
        let detail = format!(
            "`{}` is a link to `{}`, which is not there.",
            path.display(),
            target.display()
        );
        let hint = "mend the link or remove it";
        return Diagnostic::error("File not found", detail).hint(hint).into();
    }
    let diagnostic = Diagnostic::error(
        "File not found",
        format!("There is no file or folder `{}`.", path.display()),
    );
    let siblings = path.parent().map(|parent| match parent.as_os_str().is_empty() {
        true => Path::new("."),
        false => parent,
    });
    let siblings = siblings.and_then(|folder| list(folder, false).ok()).unwrap_or_default();
    let siblings = siblings.iter().filter(|path| path.exists()).map(|path| file_name(path));
    diagnostic.nearest(file_name(path), siblings).into()
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostics {
    let detail = format!("`{}` cannot be read: {error}.", path.display());
    Diagnostic::error("File not readable", detail).into()
}
