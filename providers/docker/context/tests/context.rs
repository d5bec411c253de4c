//! What a digest is made of, and what an engine gets.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use simfleet_build_context::{Context, ContextError};

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |path: &str, content: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("it is ours");
    };
    put("Dockerfile", "FROM scratch\n");
    put("src/main.c", "int main;\n");
    put("notes.md", "none\n");
    symlink("src/main.c", folder.path().join("link")).expect("a link");
    fs::set_permissions(folder.path().join("src"), PermissionsExt::from_mode(0o755)).expect("it is ours");
    folder
}

fn digest(folder: &Path) -> String {
    let context = Context::read(folder, Path::new("Dockerfile")).expect("a context");
    context.digest().expect("it can be read")
}

#[test]
fn a_digest_is_that_of_what_counts() {
    let (one, two) = (folder(), folder());
    assert_eq!(digest(one.path()), digest(two.path()), "of two copies");
    let at = |path: &str| one.path().join(path);
    let changes: [(&str, &dyn Fn()); 6] = [
        ("a content", &|| {
            fs::write(at("src/main.c"), "int main();\n").expect("a file")
        }),
        ("a mode", &|| {
            fs::set_permissions(at("src/main.c"), PermissionsExt::from_mode(0o755)).expect("it is ours");
        }),
        ("a name", &|| {
            fs::rename(at("src/main.c"), at("src/prog.c")).expect("it is ours")
        }),
        ("a link", &|| {
            fs::remove_file(at("link")).expect("it is ours");
            symlink("src/prog.c", at("link")).expect("a link");
        }),
        ("an empty folder", &|| fs::create_dir(at("empty")).expect("a folder")),
        ("what is ignored", &|| {
            fs::write(at(".dockerignore"), "*.md\n").expect("a file")
        }),
    ];
    for (what, change) in changes {
        let before = digest(one.path());
        change();
        assert_ne!(digest(one.path()), before, "{what}");
    }
    let before = digest(one.path());
    fs::write(at("notes.md"), "others\n").expect("a file");
    // Written anew, as by a checkout.
    let content = fs::read(at("Dockerfile")).expect("a file");
    fs::write(at("Dockerfile"), content).expect("a file");
    assert_eq!(
        digest(one.path()),
        before,
        "what is ignored, and when a file was written, do not count"
    );
}

#[test]
fn an_archive_has_what_counts() {
    let folder = folder();
    fs::write(folder.path().join(".dockerignore"), "**\n!src\n").expect("a file");
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("src/socket")).expect("a socket");
    let context = Context::read(folder.path(), Path::new("Dockerfile")).expect("a context");
    let mut written = Vec::new();
    context.archive(&mut written).expect("an archive");
    let mut archive = tar::Archive::new(written.as_slice());
    let entries = archive.entries().expect("entries").map(|entry| {
        let entry = entry.expect("an entry");
        let header = entry.header();
        let (mode, size) = (header.mode().expect("a mode"), header.size().expect("a size"));
        format!("{} {mode:o} {size}", entry.path().expect("a path").display())
    });
    let entries: Vec<String> = entries.collect();
    assert_eq!(entries[1..], ["Dockerfile 644 13", "src 755 0", "src/main.c 644 10"]);
    assert!(entries[0].starts_with(".dockerignore"), "{entries:?}");
}

#[test]
fn what_no_image_is_built_of() {
    let folder = folder();
    let read = |dockerfile: &str| Context::read(folder.path(), Path::new(dockerfile)).expect_err(dockerfile);
    assert!(matches!(read("Containerfile"), ContextError::NoDockerfile { .. }));
    assert!(matches!(read("src"), ContextError::NoDockerfile { .. }));
    assert!(matches!(read("../Dockerfile"), ContextError::Outside { .. }));
    assert!(matches!(read("/Dockerfile"), ContextError::Outside { .. }));
    let nowhere = Context::read(&folder.path().join("app"), Path::new("Dockerfile")).expect_err("nowhere");
    assert!(matches!(nowhere, ContextError::NoFolder(_)));
}
