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

/// Returns files as an archive, laid out from the root of a container. All can be read by everybody there.
pub(super) fn archive(files: &BTreeMap<String, String>) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        // Writing to memory does not fail; a path that cannot be written is refused by the engine as missing.
        let _ = archive.append_data(&mut header, path.trim_start_matches('/'), content.as_bytes());
    }
    archive.into_inner().unwrap_or_default()
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
