//! How much containers use of what they may, as the engine measures it.

use simfleet_provider_api::{Attributes, Kind, Metric, Number, Object, ObjectId, Value};
use simfleet_provider_docker::schema::{CONTAINER, ENGINE, VOLUME};

use crate::harness::{Fleet, container, docker, texts, with};

async fn measured(fleet: &Fleet, metric: Metric, kind: &Kind, objects: &[&Object]) -> Vec<Result<f64, String>> {
    let ids: Vec<ObjectId> = objects.iter().map(|object| object.id.clone()).collect();
    let meter = fleet.provider.meter().expect("engines measure");
    let values = meter.measure(metric, kind, &ids).await;
    values
        .into_iter()
        .map(|value| value.map_err(|error| error.to_string()))
        .collect()
}

fn limited(name: &str, script: &str, cpu: f64, memory: u64) -> Attributes {
    let wanted = with(&container(name), "command", texts(["sh", "-c", script]));
    let resources = [
        ("cpu", Number::from_f64(cpu).map_or(Value::NULL, Value::from)),
        ("memory", Value::from(memory)),
    ];
    with(&wanted, "resources", Value::object(resources))
}

/// Whether the files of the engine's containers are in memory, where the kernel has them all and caches none.
fn is_in_memory() -> bool {
    let folder = docker(&["info", "--format", "{{.DockerRootDir}}"]);
    let told = std::process::Command::new("stat")
        .args(["-f", "-c", "%T", folder.trim()])
        .output()
        .expect("stat is there");
    String::from_utf8_lossy(&told.stdout).trim() == "tmpfs"
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn containers_are_measured_against_their_limits() {
    let fleet = Fleet::new().await;
    let make = async |wanted| fleet.create(&CONTAINER, &wanted).await.expect("it is made");
    // What is limited to little has it even on a machine that has other things to do.
    let busy = make(limited("busy", "while :; do :; done", 0.05, 16 << 20)).await;
    let idle = make(limited("idle", "sleep 86400", 0.05, 16 << 20)).await;
    let ended = make(limited("ended", "sleep 86400", 0.05, 16 << 20)).await;
    docker(&["stop", "-t", "0", &ended.id.0]);
    let gone = make(container("gone")).await;
    docker(&["rm", "-f", &gone.id.0]);
    let paused = make(container("paused")).await;
    docker(&["pause", &paused.id.0]);

    let all = [&busy, &idle, &ended, &gone, &paused];
    let cpu = measured(&fleet, Metric::Cpu, &CONTAINER, &all).await;
    assert!(
        cpu[0].as_ref().is_ok_and(|busy| (60.0..=100.0).contains(busy)),
        "{cpu:?}"
    );
    assert!(cpu[1].as_ref().is_ok_and(|idle| (0.0..10.0).contains(idle)), "{cpu:?}");
    let why = [
        "its container does not run: it is exited",
        "its container is gone",
        "its container does not run: it is paused",
    ];
    assert_eq!(cpu[2..], why.map(|why| Err(why.to_owned())));

    // What is in memory counts, and what the kernel only caches of files does not.
    let memory = async || {
        let values = measured(&fleet, Metric::Memory, &CONTAINER, &all).await;
        assert_eq!(values[2..], why.map(|why| Err(why.to_owned())));
        values[1].clone().expect("it runs")
    };
    assert!(memory().await < 25.0);
    if is_in_memory() {
        println!("skipped: what is cached of files: this engine has its files in memory");
    } else {
        let write = ["if=/dev/zero", "of=/cached", "bs=1M", "count=10"];
        docker(&[&["exec", &*idle.id.0, "dd"][..], &write].concat());
        docker(&["exec", &idle.id.0, "sync"]);
        let cached = memory().await;
        assert!(cached < 35.0, "{cached}");
    }
    docker(&[
        "exec",
        &idle.id.0,
        "dd",
        "if=/dev/zero",
        "of=/dev/shm/kept",
        "bs=1M",
        "count=8",
    ]);
    let kept = memory().await;
    assert!((45.0..90.0).contains(&kept), "{kept}");

    // An engine: all of its containers together, of its machine.
    let engine = fleet.provider.list(&ENGINE).await.expect("it answers").expect("a list");
    let of_engine = measured(&fleet, Metric::Cpu, &ENGINE, &[&engine[0]]).await;
    assert!(
        of_engine[0].as_ref().is_ok_and(|used| (0.5..=100.0).contains(used)),
        "{of_engine:?}"
    );
    let of_engine = measured(&fleet, Metric::Memory, &ENGINE, &[&engine[0]]).await;
    assert!(
        of_engine[0].as_ref().is_ok_and(|used| (0.01..90.0).contains(used)),
        "{of_engine:?}"
    );
    let nothing = measured(&fleet, Metric::Cpu, &VOLUME, &[&busy]).await;
    assert_eq!(nothing, [Err("of a `volume` an engine measures nothing".to_owned())]);
}
