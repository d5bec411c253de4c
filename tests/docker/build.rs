//! Images that are built: when, of what, and when they go.

use std::path::Path;

use crate::support::engine::{IMAGE, WAITS, container, docker, lineage, objects, provider};
use crate::support::{Ended, Fleet};

/// A service with a page that its image brings.
fn service(build: &str) -> String {
    format!(
        "{}service \"web\" {{\n  command = {WAITS}\n  stop_grace = \"1s\"\n  build {{\n    context = \"app\"\n{build}  }}\n}}\n",
        provider()
    )
}

fn put(fleet: &Fleet, path: &str, content: &str) {
    let path = fleet.path().join(path);
    std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
    std::fs::write(path, content).expect("a file");
}

/// Returns the ids of the images that a fleet built.
fn images(lineage: &str) -> Vec<String> {
    let label = format!("label=simfleet.image.lineage={lineage}");
    let ids = docker(&["images", "-q", "--no-trunc", "--filter", &label]);
    ids.lines().map(str::to_owned).collect()
}

/// Returns what a plan says, without what differs from run to run.
fn plan(fleet: &Fleet) -> String {
    let out = fleet.ok(&["plan"]).out;
    let out = out.replace(&*fleet.path().to_string_lossy(), "[fleet]");
    let mut text = out.replace(&provider(), "");
    for (pattern, name) in [
        (r"sha256:[0-9a-f]{64}", "sha256:[id]"),
        (r"[0-9a-f]{64}", "[digest]"),
        // Whether it is told depends on how long such things took.
        (r" It takes at least [\d.]+ s\.", ""),
    ] {
        let pattern = regex::Regex::new(pattern).expect("a pattern");
        text = pattern.replace_all(&text, name).into_owned();
    }
    text
}

#[test]
#[ignore = "needs a Docker engine"]
fn an_image_is_built_when_its_context_changed_and_goes_with_its_fleet() {
    let fleet = Fleet::new(&service(""));
    put(
        &fleet,
        "app/Dockerfile",
        &format!("FROM {IMAGE}\nCOPY page /page\nRUN cp /page /copied\n"),
    );
    put(&fleet, "app/page", "one\n");
    put(&fleet, "app/.dockerignore", "*.md\n");
    fleet.applied();
    let lineage = lineage(&fleet);
    let page = || docker(&["exec", &container(&lineage, "service.web"), "cat", "/copied"]);
    assert_eq!(page(), "one");
    let first = images(&lineage);
    assert_eq!(first.len(), 1, "{first:?}");
    let tags = docker(&["inspect", "--format", "{{index .RepoTags 0}}", &first[0]]);
    assert!(tags.starts_with("simfleet:service.web-image-"), "{tags}");

    // What is ignored does not count; what is not does.
    put(&fleet, "app/notes.md", "none\n");
    assert_eq!(fleet.planned(), Vec::<String>::new());
    put(&fleet, "app/page", "two\n");
    insta::assert_snapshot!("the_context_changed", plan(&fleet));
    fleet.applied();
    assert_eq!(page(), "two");
    let second = images(&lineage);
    assert_eq!(second.len(), 1, "the old one is gone: {second:?}");
    assert_ne!(first, second);

    // Other changes of the service make no other image.
    fleet.write(&service("").replace("stop_grace", "env = { A = \"1\" }\n  stop_grace"));
    assert_eq!(fleet.planned(), ["replace service.web"]);
    fleet.applied();
    assert_eq!(images(&lineage), second);

    // One that somebody removed is built again.
    docker(&["rm", "-f", &container(&lineage, "service.web")]);
    docker(&["rmi", "-f", &second[0]]);
    assert_eq!(fleet.planned(), ["create service.web", "create service.web/image"]);
    fleet.applied();
    assert_eq!(page(), "two");

    // What others made of it stays, and so does what they call by another name.
    let third = images(&lineage);
    let theirs = format!("simfleet-test/theirs:{}", std::process::id());
    docker(&["tag", &third[0], &theirs]);
    fleet.ok(&["destroy", "--auto-approve"]);
    assert_eq!(objects(&lineage), Vec::<String>::new());
    let left = docker(&["inspect", "--format", "{{json .RepoTags}}", &third[0]]);
    assert_eq!(left, format!("[\"{theirs}\"]"));
    docker(&["rmi", &theirs]);
    assert_eq!(images(&lineage), Vec::<String>::new());
}

#[test]
#[ignore = "needs a Docker engine"]
fn simulators_of_one_context_with_a_tag_arguments_and_a_stage() {
    let tag = format!("simfleet-test/rover:{}", std::process::id());
    let text = |word: &str| {
        format!(
            "{}simulator \"container\" \"rover\" {{\n  count = 3\n  placement = \"local\"\n  image = \"{tag}\"\n  stop_grace = \"1s\"\n  \
             build {{\n    context = \"sim\"\n    dockerfile = \"docker/rover\"\n    target = \"small\"\n    args = {{ WORD = \"{word}\" }}\n  }}\n}}\n",
            provider()
        )
    };
    let fleet = Fleet::new(&text("one"));
    let file = format!(
        "FROM {IMAGE} AS small\nARG WORD\nRUN echo $WORD > /word\nCMD {WAITS}\nFROM small AS large\nRUN false\n"
    );
    put(&fleet, "sim/docker/rover", &file);
    fleet.applied();
    let lineage = lineage(&fleet);
    let words = || -> Vec<String> {
        let word = |at: usize| {
            let id = container(&lineage, &format!("simulator.container.rover[{at}]"));
            docker(&["exec", &id, "cat", "/word"])
        };
        (0..3).map(word).collect()
    };
    assert_eq!(words(), ["one"; 3]);
    assert_eq!(docker(&["run", "--rm", &tag, "cat", "/word"]), "one", "it has its tag");
    fleet.write(&text("two"));
    fleet.applied();
    assert_eq!(words(), ["two"; 3]);
    fleet.write(&text("two").replace("count = 3", "count = 1"));
    fleet.applied();
    fleet.ok(&["destroy", "--auto-approve"]);
    assert_eq!(objects(&lineage), Vec::<String>::new());
    assert_eq!(images(&lineage), Vec::<String>::new());
}

/// Returns what an apply that fails says of the image, without what differs from run to run.
fn told(ended: &Ended) -> String {
    assert_eq!(ended.code, Some(1), "{}\n{}", ended.out, ended.err);
    let from = ended
        .err
        .find("service.web/image: create failed")
        .expect("it says that it failed");
    let mut text = ended.err[from..].trim_end().to_owned();
    for (pattern, name) in [(r"after [\d.]+ s", "after [duration]"), (r"[0-9a-f]{12}\b", "[id]")] {
        let pattern = regex::Regex::new(pattern).expect("a pattern");
        text = pattern.replace_all(&text, name).into_owned();
    }
    text
}

#[test]
#[ignore = "needs a Docker engine"]
fn what_is_wrong_with_a_build() {
    let foreign = format!("simfleet-test/foreign:{}", std::process::id());
    docker(&["tag", IMAGE, &foreign]);
    for (what, file, more) in [
        (
            "a_step_that_fails",
            format!("FROM {IMAGE}\nRUN (echo it begins; echo no such board) >&2; exit 3\n"),
            String::new(),
        ),
        (
            "a_base_that_is_missing",
            "FROM 127.0.0.1:1/none:1\n".to_owned(),
            String::new(),
        ),
        (
            "no_dockerfile_syntax",
            format!("FROM {IMAGE}\nCOPPY a b\n"),
            String::new(),
        ),
        (
            "a_tag_of_somebody_else",
            format!("FROM {IMAGE}\n"),
            format!("  image = \"{foreign}\"\n"),
        ),
    ] {
        let text = service("").replace("  stop_grace", &format!("{more}  stop_grace"));
        let fleet = Fleet::new(&text);
        put(&fleet, "app/Dockerfile", &file);
        let ended = fleet.run(&["apply", "--auto-approve"]);
        insta::assert_snapshot!(what, told(&ended).replace(&foreign, "[foreign]"));
        let lineage = lineage(&fleet);
        assert_eq!(images(&lineage), Vec::<String>::new(), "{what}: it leaves nothing");
        assert_eq!(objects(&lineage), Vec::<String>::new(), "{what}: it leaves nothing");
    }
    docker(&["rmi", &foreign]);
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_context_that_changed_after_the_plan_is_not_built() {
    let fleet = Fleet::new(&service(""));
    put(&fleet, "app/Dockerfile", &format!("FROM {IMAGE}\n"));
    fleet.ok(&["plan", "--out", "saved.plan"]);
    put(&fleet, "app/new", "");
    let saved = Path::new("saved.plan");
    let mut apply = std::process::Command::new(env!("CARGO_BIN_EXE_simfleet"));
    let ended = apply.current_dir(fleet.path()).arg("apply").arg(saved).output();
    let ended: Ended = ended.expect("simfleet runs").into();
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    insta::assert_snapshot!("a_context_that_changed_after_the_plan", ended.err.trim_end());
    fleet.ok(&["destroy", "--auto-approve"]);
}
