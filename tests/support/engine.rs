//! The engine, as somebody with the docker client sees it.

use std::process::Command;

use super::Fleet;

/// An image with a shell and its tools.
pub const IMAGE: &str = "simfleet-test/busybox:1";

/// What goes on until it is told to end, and does nothing meanwhile.
pub const WAITS: &str = r#"["sh", "-c", "trap 'exit 0' TERM; sleep 86400 & wait"]"#;

/// Returns where the engine is.
pub fn host() -> String {
    std::env::var("SIMFLEET_TEST_DOCKER").expect("SIMFLEET_TEST_DOCKER says where the Docker engine is")
}

/// Returns the block of the provider.
pub fn provider() -> String {
    format!("provider \"docker\" {{ host = \"{}\" }}\n", host())
}

/// Runs the docker client; returns what it says.
#[track_caller]
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(["-H", &host()]).args(arguments).output();
    let output = output.expect("the docker client runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Returns the lineage of a fleet that has a state.
pub fn lineage(fleet: &Fleet) -> String {
    let document: serde_json::Value = serde_json::from_str(&fleet.ok(&["show", "--json"]).out).expect("JSON");
    document["lineage"].as_str().expect("it has one").to_owned()
}

/// Returns the names of what an engine has of a fleet.
pub fn objects(lineage: &str) -> Vec<String> {
    let of_it = format!("label=simfleet.lineage={lineage}");
    let list = |list: &[&str]| docker(&[list, &["--filter", &of_it]].concat());
    let named = "{{.Label \"simfleet.name\"}}";
    let all = [
        list(&["ps", "-a", "--format", named]),
        list(&["network", "ls", "--format", named]),
        list(&["volume", "ls", "--format", named]),
    ];
    let mut names: Vec<String> = all.iter().flat_map(|names| names.lines().map(str::to_owned)).collect();
    names.sort();
    names
}

/// Returns the id of the container of a resource.
pub fn container(lineage: &str, name: &str) -> String {
    let filters = [
        format!("label=simfleet.lineage={lineage}"),
        format!("label=simfleet.name={name}"),
    ];
    docker(&[
        "ps",
        "-aq",
        "--no-trunc",
        "--filter",
        &filters[0],
        "--filter",
        &filters[1],
    ])
}

/// Makes an image with this very program, its libraries and a start as PX4's images have it: `-i N` is the instance.
pub fn image_of_vehicles(tag: &str) {
    let root = tempfile::tempdir().expect("a folder");
    let put = |from: &str, to: &str| {
        let to = root.path().join(to.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().expect("it has one")).expect("a folder");
        std::fs::copy(from, to).expect("it can be copied");
    };
    let program = env!("CARGO_BIN_EXE_simfleet");
    let libraries = Command::new("ldd").arg(program).output().expect("ldd runs");
    let libraries = String::from_utf8_lossy(&libraries.stdout).into_owned();
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        put(library, library);
    }
    put(program, "/simfleet");
    put("/bin/busybox", "/bin/sh");
    let start = "#!/bin/sh\nset -e\n[ \"$1 $2\" = '-d -i' ]\n[ -n \"$PX4_SIM_MODEL\" ]\n\
        exec /simfleet vehicle --listen 0.0.0.0:$((18570 + $3)) --system-id $(($3 + 1))\n";
    std::fs::write(root.path().join("start"), start).expect("a file");
    let make = format!(
        "chmod 755 start && strip simfleet 2>/dev/null; tar -c . | docker -H {} import -c 'ENTRYPOINT [\"/bin/sh\", \"/start\"]' - {tag}",
        host()
    );
    let made = Command::new("sh")
        .args(["-c", &make])
        .current_dir(root.path())
        .output()
        .expect("a shell");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
