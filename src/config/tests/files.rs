//! Which files a fleet consists of.

use std::fs;

use super::super::load;
use super::{inputs, render, snapshot};

/// Loads what is at a path of a folder with the given files; returns the addresses that it declares, or what is told.
fn loaded(files: &[(&str, &[u8])], path: &str) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().expect("a folder for a test");
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder.path())).expect("writable");
        fs::write(path, bytes).expect("writable");
    }
    let path = match path {
        "" => folder.path().to_owned(),
        name => folder.path().join(name),
    };
    match load(&path, &inputs()) {
        Ok((config, _)) => Ok(config
            .declarations
            .iter()
            .map(|declaration| declaration.address.to_string())
            .collect()),
        Err(found) => Err(render(&found, folder.path())),
    }
}

#[test]
fn a_folder_is_all_its_fleet_files_in_the_order_of_their_names() {
    let files: &[(&str, &[u8])] = &[
        ("b.hcl", b"value \"b\" {}"),
        ("a.hcl", b"value \"a\" {}"),
        ("empty.hcl", b""),
        ("x.vars.hcl", b"not = a fleet"),
        (".terraform.lock.hcl", b"provider \"x\" {}"),
        ("notes.txt", b"not a fleet"),
        ("folder.hcl/inner.hcl", b"value \"inner\" {}"),
    ];
    assert_eq!(loaded(files, ""), Ok(vec!["value.a".to_owned(), "value.b".to_owned()]));
    assert_eq!(loaded(files, "b.hcl"), Ok(vec!["value.b".to_owned()]));
}

#[test]
fn what_cannot_be_read_is_told() {
    let fleet: &[u8] = b"value \"a\" {}\n";
    let mut report = String::new();
    for (case, files, path) in [
        ("no such file", &[("quickstart.hcl", fleet)][..], "quikstart.hcl"),
        ("a folder without a fleet", &[("readme.txt", fleet)][..], ""),
        ("an empty file", &[("fleet.hcl", &b""[..])][..], "fleet.hcl"),
        ("only comments", &[("fleet.hcl", &b"# nothing\n"[..])][..], ""),
        (
            "a file of variables",
            &[("x.vars.hcl", &b"a = 1"[..])][..],
            "x.vars.hcl",
        ),
        (
            "not UTF-8",
            &[("fleet.hcl", &b"value \"a\" {}\n# gr\xfc\xdfe\n"[..])][..],
            "",
        ),
        (
            "a byte order mark",
            &[("fleet.hcl", &b"\xef\xbb\xbfvalue \"a\" {}\n"[..])][..],
            "",
        ),
        ("UTF-16", &[("fleet.hcl", &b"\xff\xfev\x00"[..])][..], ""),
        (
            "two at once",
            &[("a.hcl", &b"\xff"[..]), ("b.hcl", &b"\xfe\xff"[..])][..],
            "",
        ),
    ] {
        let told = loaded(files, path).expect_err(case);
        report.push_str(&format!("## {case}\n{told}\n"));
    }
    snapshot!(report);
}

#[test]
fn windows_line_ends_are_read() {
    assert_eq!(
        loaded(&[("a.hcl", b"value \"a\" {\r\n  input = 1\r\n}\r\n")], ""),
        Ok(vec!["value.a".to_owned()])
    );
}
