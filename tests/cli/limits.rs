//! `limits`: what no simulator may go beyond.

use serde_json::{Value as Json, json};

use crate::lab::Lab;

const SIMULATORS: &str = r#"
provider "local" {}
simulator "exec" "job" {
  count     = 3
  placement = "local"
  command   = ["sleep", "1000"]
}
simulator "exec" "other" {
  placement = "local"
  command   = ["sleep", "1000"]
}
"#;

#[test]
fn more_simulators_than_there_may_be() {
    let lab = Lab::new(&format!("{SIMULATORS}\nlimits {{ max_simulators = 3 }}\n"));
    insta::assert_snapshot!("too_many", lab.run("plan").exits(1));
    lab.write("fleet.hcl", &format!("{SIMULATORS}\nlimits {{ max_simulators = 4 }}\n"));
    lab.run("plan").exits(0);
}

#[test]
fn a_program_that_is_too_large() {
    let lab = Lab::new(
        "provider \"local\" {}\nprogram \"firmware\" { path = \"large.elf\" }\nlimits {\n  max_program = \"1KiB\"\n}\n\
         simulator \"qemu\" \"board\" {\n  placement = \"local\"\n  binary    = \"qemu-system-arm\"\n  \
         machine   = \"lm3s6965evb\"\n  program   = program.firmware\n}\n",
    );
    lab.write("large.elf", &"x".repeat(1025));
    insta::assert_snapshot!("too_large", lab.run("plan").exits(1));
    lab.write("large.elf", &"x".repeat(1024));
    lab.run("plan").exits(0);
    // A build that failed leaves such a file.
    lab.write("large.elf", "");
    insta::assert_snapshot!("empty_program", lab.run("plan").exits(1));
}

#[test]
fn a_limit_that_nobody_can_see_to_is_told() {
    let lab = Lab::new(&format!(
        "{SIMULATORS}\nlimits {{ idle_timeout = \"30m\" }}\n\
         simulator \"vehicle\" \"v\" {{\n  placement = \"local\"\n  port \"gcs\" {{ host = 14560 }}\n}}\n"
    ));
    insta::assert_snapshot!("limit_without_effect", lab.run("validate").exits(0));
    lab.write(
        "fleet.hcl",
        &format!("{SIMULATORS}\nlimits {{ idle_timeout = \"30m\" }}\n"),
    );
    assert_eq!(lab.run("validate").exits(0).stderr, "");
}

#[test]
fn images_that_are_not_allowed() {
    let fleet = |images: &str| {
        format!(
            "provider \"docker\" {{ host = \"unix:///nowhere\" }}\n\
             service \"broker\" {{\n  image = \"eclipse-mosquitto:2.0\"\n}}\n\
             simulator \"px4\" \"iris\" {{\n  placement = \"local\"\n  image     = \"px4io/px4-sitl:v1.17.0\"\n}}\n\
             limits {{\n  allowed_images = {images}\n}}\n"
        )
    };
    let lab = Lab::new(&fleet("[\"px4io/*@sha256:*\", \"registry.example.net/*\"]"));
    insta::assert_snapshot!("images", lab.run("plan").exits(1));
    lab.write("fleet.hcl", &fleet("[]"));
    insta::assert_snapshot!("no_images", lab.run("plan --target service.broker").exits(1));
    lab.write("fleet.hcl", &fleet("[\"px4io/px4-sitl:v1.*\", \"eclipse-mosquitto\"]"));
    lab.run("plan").exits(0);
}

#[test]
fn limits_are_those_of_the_whole_fleet() {
    let lab = Lab::new("module \"m\" { source = \"./m\" }\n");
    std::fs::create_dir(lab.path().join("m")).expect("a folder");
    lab.write("m/fleet.hcl", "limits {\n  max_simulators = \"many\"\n}\n");
    insta::assert_snapshot!("limits_of_a_module", lab.run("validate").exits(1));
    lab.write(
        "fleet.hcl",
        "limits {\n  max_simulators = \"many\"\n  max_snapshots  = \"1KiB\"\n}\n",
    );
    insta::assert_snapshot!("wrong_limits", lab.run("validate").exits(1));
}

#[test]
fn the_narrower_one_holds() {
    let exec = |name: &str, more: &str| {
        format!("simulator \"exec\" \"{name}\" {{\n  placement = \"local\"\n  command = [\"true\"]\n{more}}}\n")
    };
    let board = "simulator \"qemu\" \"NAME\" {\n  placement = \"local\"\n  binary = \"qemu-system-arm\"\n  \
                 machine = \"lm3s6965evb\"\nMORE}\n";
    let board = |name: &str, more: &str| board.replace("NAME", name).replace("MORE", more);
    let lab = Lab::new(&format!(
        "provider \"local\" {{}}\nlimits {{\n  idle_timeout = \"1h\"\n  max_snapshot = \"500MiB\"\n}}\n{}{}{}{}{}",
        exec("less", "  idle_timeout = \"30m\"\n"),
        exec("more", "  idle_timeout = \"2h\"\n"),
        exec("none", ""),
        board("plain", ""),
        board("kept", "  snapshot {\n    store = \"s\"\n    keep  = 2\n  }\n"),
    ));
    let plan = lab.run("plan --json").exits(0).json();
    let after = |address: &str| -> &Json {
        let mut changes = plan["changes"].as_array().expect("a list").iter();
        let change = changes.find(|change| change["address"] == address);
        &change.unwrap_or_else(|| panic!("{address} is not in {plan}"))["after"]
    };
    for (name, seconds) in [("less", 1800), ("more", 3600), ("none", 3600)] {
        let address = format!("simulator.exec.{name}");
        assert_eq!(after(&address)["idle_timeout"], seconds, "{name}");
    }
    let most = 500 << 20;
    assert_eq!(after("simulator.qemu.plain")["idle_timeout"], 3600);
    let snapshot = |name: &str| after(name)["snapshot"].clone();
    let (plain, kept) = (snapshot("simulator.qemu.plain"), snapshot("simulator.qemu.kept"));
    assert_eq!(
        (&plain["keep"], &plain["max_size"], &plain["store"]),
        (&json!(5), &json!(most), &Json::Null)
    );
    assert_eq!(
        (&kept["keep"], &kept["max_size"], &kept["store"]),
        (&json!(2), &json!(most), &json!("s"))
    );
}
