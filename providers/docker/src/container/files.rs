//! Files that are put into a container before it starts.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use crate::client::{CallError, Engine, Why};

/// The label that tells which files were put into a container: JSON.
const FILES: &str = "simfleet.files";

/// Returns the label that remembers where files were put.
pub(super) fn label(files: &BTreeMap<String, String>) -> HashMap<String, String> {
    let paths: Vec<&String> = files.keys().collect();
    match paths.is_empty() {
        true => HashMap::new(),
        false => HashMap::from([(FILES.to_owned(), serde_json::json!(paths).to_string())]),
    }
}

/// Returns where files were put into a container.
pub(super) fn paths(labels: &BTreeMap<String, String>) -> Vec<String> {
    let paths = labels.get(FILES).and_then(|text| serde_json::from_str(text).ok());
    paths.unwrap_or_default()
}

/// Returns files as archives, each with the folder that it is laid out from: the mount that its files are in, or the root. All
/// can be read by everybody there.
///
/// An engine puts nothing into a container that cannot write to its own files, other than by the path of a mount.
pub(super) fn archives<'a>(files: &BTreeMap<String, String>, mounts: &[&'a str]) -> BTreeMap<&'a str, Vec<u8>> {
    let mut archives: BTreeMap<&str, tar::Builder<Vec<u8>>> = BTreeMap::new();
    for (path, content) in files {
        let is_in = |folder: &&&str| {
            let rest = path.strip_prefix(folder.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let folder = mounts.iter().filter(is_in).max_by_key(|folder| folder.len());
        let folder = folder.copied().unwrap_or("/");
        let path = path.strip_prefix(folder).unwrap_or(path).trim_start_matches('/');
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let archive = archives.entry(folder).or_insert_with(|| tar::Builder::new(Vec::new()));
        // Writing to memory does not fail; a path that cannot be written is refused by the engine as missing.
        let _ = archive.append_data(&mut header, path, content.as_bytes());
    }
    let archives = archives.into_iter();
    archives
        .map(|(folder, archive)| (folder, archive.into_inner().unwrap_or_default()))
        .collect()
}

/// Returns files of a container; those that are gone are left out.
pub(super) async fn read(engine: &Engine, id: &str, paths: Vec<String>) -> Result<BTreeMap<String, String>, CallError> {
    let mut files = BTreeMap::new();
    for path in paths {
        if let Some(archive) = engine.download(id, &path).await? {
            let content = content(&archive).map_err(|error| CallError {
                why: Why::Unknown,
                message: format!("the file `{path}` came back broken: {error}"),
            })?;
            files.insert(path, content);
        }
    }
    Ok(files)
}

fn content(archive: &[u8]) -> std::io::Result<String> {
    let mut archive = tar::Archive::new(archive);
    let mut bytes = Vec::new();
    if let Some(entry) = archive.entries()?.next() {
        entry?.read_to_end(&mut bytes)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_by_the_innermost_mount_that_they_are_in() {
        let files = ["/etc/motd", "/data/a/x", "/data/b/y", "/database"].map(|path| (path.to_owned(), path.to_owned()));
        let archives = archives(&BTreeMap::from(files), &["/data", "/data/b/"]);
        let laid_out = archives.into_iter().map(|(folder, archive)| {
            let mut archive = tar::Archive::new(&archive[..]);
            let entries = archive.entries().expect("an archive");
            let path = |entry: std::io::Result<tar::Entry<'_, _>>| {
                let entry = entry.expect("an entry");
                entry.path().expect("a path").display().to_string()
            };
            (folder, entries.map(path).collect::<Vec<_>>().join(" "))
        });
        assert_eq!(
            laid_out.collect::<Vec<_>>(),
            [
                ("/", "database etc/motd".to_owned()),
                ("/data", "a/x".to_owned()),
                ("/data/b/", "y".to_owned())
            ]
        );
    }
}
