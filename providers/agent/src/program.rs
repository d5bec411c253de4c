//! The file of a program, as it is put to an agent.

use std::path::Path;

use tokio::fs::{File, metadata};
use tokio::io::AsyncReadExt;

use crate::protocol::MAX_PROGRAM;

/// Reads a program. What has no end is not read, and no more than an agent takes is held.
///
/// # Errors
/// Why it cannot be put to an agent, in words for the user.
pub(crate) async fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: &dyn std::fmt::Display| format!("cannot read the program `{}`: {error}", path.display());
    // To open a pipe would wait for somebody who writes to it.
    let found = metadata(path).await.map_err(|error| unreadable(&error))?;
    if !found.is_file() {
        return Err(unreadable(&"it is not a file"));
    }
    let most = MAX_PROGRAM as u64;
    let too_large = |size: u64| {
        let path = path.display();
        format!("the program `{path}` has {size} bytes, and an agent takes {most} at the most")
    };
    if found.len() > most {
        return Err(too_large(found.len()));
    }
    let file = File::open(path).await.map_err(|error| unreadable(&error))?;
    let mut content = Vec::new();
    // It can grow meanwhile.
    let read = file.take(most + 1).read_to_end(&mut content).await;
    match read.map_err(|error| unreadable(&error))? as u64 {
        size if size > most => Err(too_large(size)),
        _ => Ok(content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_program_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name| folder.path().join(name);
        std::fs::write(path("whole"), "abc").expect("a file");
        assert_eq!(read(&path("whole")).await, Ok(b"abc".to_vec()));
        let large = std::fs::File::create(path("large")).expect("a file");
        large.set_len(MAX_PROGRAM as u64 + 1).expect("room for no block");
        let told = read(&path("large")).await.expect_err("it is too large");
        assert!(
            told.ends_with("large` has 536870913 bytes, and an agent takes 536870912 at the most"),
            "{told}"
        );
        for endless in [Path::new("/dev/zero"), folder.path()] {
            let told = read(endless).await.expect_err("it has no end");
            assert_eq!(
                told,
                format!("cannot read the program `{}`: it is not a file", endless.display())
            );
        }
        let told = read(&path("none")).await.expect_err("there is none");
        assert!(told.contains("No such file"), "{told}");
    }
}
