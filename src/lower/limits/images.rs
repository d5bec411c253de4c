//! Whether the name of an image fits a pattern.

/// The registry of an image that names none.
const HUB: &str = "docker.io";

/// The name of an image: `registry.example.net:5000/team/web:1.2@sha256:…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name<'n> {
    repository: &'n str,
    tag: Option<&'n str>,
    digest: Option<&'n str>,
}

impl<'n> Name<'n> {
    fn of(name: &'n str) -> Self {
        let (name, digest) = match name.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (name, None),
        };
        // A colon before the last slash is that of a port.
        match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => Name {
                repository,
                tag: Some(tag),
                digest,
            },
            _ => Name {
                repository: name,
                tag: None,
                digest,
            },
        }
    }
}

/// Whether an image is one of those that a pattern stands for. `*` stands for anything, also for several parts of a path. A
/// pattern without a tag stands for every tag, and one without a digest for every content.
pub(super) fn matches(pattern: &str, image: &str) -> bool {
    let (pattern, image) = (Name::of(pattern), Name::of(image));
    let full = repository_in_full(image.repository);
    let familiar = full.strip_prefix("docker.io/").unwrap_or(&full);
    let familiar = familiar
        .strip_prefix("library/")
        .filter(|_| full.starts_with(HUB))
        .unwrap_or(familiar);
    let is_repository = fits(pattern.repository, &full)
        || fits(pattern.repository, familiar)
        || fits(&repository_in_full(pattern.repository), &full);
    let tag = image.tag.or(image.digest.is_none().then_some("latest"));
    let is_part = |pattern: Option<&str>, part: Option<&str>| match (pattern, part) {
        (None, _) => true,
        (Some(pattern), Some(part)) => fits(pattern, part),
        (Some(_), None) => false,
    };
    is_repository && is_part(pattern.tag, tag) && is_part(pattern.digest, image.digest)
}

/// Returns the name of an image with its registry.
pub(super) fn in_full(image: &str) -> String {
    let repository = Name::of(image).repository;
    let rest = image.strip_prefix(repository).unwrap_or_default();
    repository_in_full(repository) + rest
}

fn repository_in_full(repository: &str) -> String {
    match repository.split_once('/') {
        Some(("index.docker.io", rest)) => repository_in_full(&format!("{HUB}/{rest}")),
        Some((HUB, rest)) if !rest.contains('/') => format!("{HUB}/library/{rest}"),
        Some((first, _)) if first == "localhost" || first.contains(['.', ':', '*']) => repository.to_owned(),
        Some(_) => format!("{HUB}/{repository}"),
        None => format!("{HUB}/library/{repository}"),
    }
}

/// Whether a text is what a pattern says, `*` standing for any characters.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_by_repository_tag_and_digest() {
        let digest = "sha256:0123456789abcdef";
        let pinned = format!("px4io/px4-sitl@{digest}");
        let both = format!("px4io/px4-sitl:v1.17.0@{digest}");
        for (pattern, image, expected) in [
            ("busybox", "busybox", true),
            ("busybox", "docker.io/library/busybox:1", true),
            ("docker.io/library/busybox", "busybox:1", true),
            ("index.docker.io/busybox", "busybox", true),
            ("busybox", "evil/busybox", false),
            ("busybox", "registry.example.net/busybox", false),
            ("px4io/*", "px4io/px4-sitl:v1.17.0", true),
            ("px4io/*", "docker.io/px4io/px4-sitl", true),
            ("px4io/*", "px4io.example.net/px4-sitl", false),
            ("px4io/*", "registry.example.net/px4io/px4-sitl", false),
            ("registry.example.net/*", "registry.example.net/a/b:1", true),
            ("registry.example.net/*", "registry.example.net:5000/a", false),
            ("registry.example.net:5000/*", "registry.example.net:5000/a/b", true),
            ("registry.example.net/*", "registry.example.net.evil.org/a", false),
            ("*/px4-sitl", "px4io/px4-sitl:1", true),
            ("*", "registry.example.net/a:1", true),
            ("px4io/px4-sitl:v1.*", "px4io/px4-sitl:v1.17.0", true),
            ("px4io/px4-sitl:v1.*", "px4io/px4-sitl:v2.0.0", false),
            ("px4io/px4-sitl:latest", "px4io/px4-sitl", true),
            ("px4io/px4-sitl:v1.*", &pinned, false),
            ("px4io/px4-sitl", &pinned, true),
            ("px4io/px4-sitl@sha256:*", &pinned, true),
            ("px4io/px4-sitl@sha256:*", &both, true),
            ("*@sha256:*", "px4io/px4-sitl:v1.17.0", false),
            ("px4io/px4-sitl@sha256:ffff", &both, false),
        ] {
            assert_eq!(matches(pattern, image), expected, "{pattern} and {image}");
        }
        assert_eq!(in_full("busybox:1"), "docker.io/library/busybox:1");
        assert_eq!(in_full("px4io/px4-sitl"), "docker.io/px4io/px4-sitl");
        assert_eq!(in_full("localhost/a"), "localhost/a");
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, expected) in [
            ("a*b*c", "abc", true),
            ("a*b*c", "a-b-bc", true),
            ("a*b*c", "ac", false),
            ("ab*ba", "aba", false),
            ("**", "", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} and {text}");
        }
    }
}
