//! Wanted attributes of every kind.

use simfleet_provider_api::conformance::{Bench, Failure, Samples};
use simfleet_provider_api::{Attributes, Kind, Value};
use simfleet_provider_azure::schema::{
    LOAD_BALANCER, NETWORK, NIC, PUBLIC_IP, RESOURCE_GROUP, SCALE_SET, SECURITY_GROUP, SUBNET, VM,
};

pub const IMAGE: &str = "Canonical:ubuntu-24_04-lts:server:latest";
const OTHER_IMAGE: &str = "Canonical:0001-com-ubuntu-server-jammy:22_04-lts:latest";
pub const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEChAhAhWm6OQ8mEO8tTTJrLfQfMbYQ1pVxFZbkNGA simfleet";

pub fn attributes<const N: usize>(fields: [(&'static str, Value); N]) -> Attributes {
    fields.into_iter().collect()
}

pub fn with<const N: usize>(base: &Attributes, fields: [(&'static str, Value); N]) -> Attributes {
    let mut changed = base.clone();
    for (name, value) in fields {
        changed.set(name, value);
    }
    changed
}

pub fn texts<const N: usize>(texts: [&str; N]) -> Value {
    Value::tuple(texts.map(Value::from))
}

pub fn tags(role: &str) -> Value {
    Value::object([("role", Value::from(role)), ("Team", "Red".into())])
}

pub fn rule(name: &str, priority: u64, protocol: &str, sources: Value, ports: Value) -> Value {
    Value::object([
        ("name", Value::from(name)),
        ("priority", priority.into()),
        ("direction", "inbound".into()),
        ("access", "allow".into()),
        ("protocol", protocol.into()),
        ("sources", sources),
        ("ports", ports),
    ])
}

/// What makes the objects that another needs.
pub async fn network(bench: &mut Bench) -> Result<Value, Failure> {
    let wanted = attributes([("name", bench.unique("net").into()), ("cidr", "10.0.0.0/16".into())]);
    Ok(bench.create(&NETWORK, &wanted).await?.id.to_string().into())
}

pub async fn subnet(bench: &mut Bench) -> Result<Value, Failure> {
    let network = network(bench).await?;
    let name = bench.unique("subnet").into();
    let wanted = attributes([("name", name), ("network", network), ("cidr", "10.0.1.0/24".into())]);
    Ok(bench.create(&SUBNET, &wanted).await?.id.to_string().into())
}

pub async fn public_ip(bench: &mut Bench) -> Result<Value, Failure> {
    let wanted = attributes([("name", bench.unique("ip").into())]);
    Ok(bench.create(&PUBLIC_IP, &wanted).await?.id.to_string().into())
}

pub async fn nic(bench: &mut Bench) -> Result<Value, Failure> {
    let subnet = subnet(bench).await?;
    let wanted = attributes([("name", bench.unique("nic").into()), ("subnet", subnet)]);
    Ok(bench.create(&NIC, &wanted).await?.id.to_string().into())
}

async fn security_group(bench: &mut Bench) -> Result<Value, Failure> {
    let wanted = attributes([("name", bench.unique("rules").into())]);
    Ok(bench.create(&SECURITY_GROUP, &wanted).await?.id.to_string().into())
}

/// Returns what a machine is like, with what it needs.
pub async fn machine(bench: &mut Bench) -> Result<Attributes, Failure> {
    Ok(attributes([
        ("name", bench.unique("vm").into()),
        ("size", "Standard_B2ms".into()),
        ("image", IMAGE.into()),
        ("nic", nic(bench).await?),
        ("admin_user", "azureuser".into()),
        ("ssh_public_key", KEY.into()),
    ]))
}

fn probe(path: &str) -> Value {
    Value::object([
        ("name", Value::from("http")),
        ("protocol", "http".into()),
        ("port", 8080u64.into()),
        ("path", path.into()),
        ("interval", 15u64.into()),
        ("threshold", 2u64.into()),
    ])
}

fn samples(desired: Attributes, in_place: Attributes, replaced: Attributes) -> Samples {
    Samples {
        desired,
        in_place: Some(in_place),
        replaced: Some(replaced),
    }
}

/// Returns samples of a kind.
pub async fn of(kind: &Kind, bench: &mut Bench) -> Result<Samples, Failure> {
    let name = Value::from(bench.unique(kind.as_str()));
    let other_name = || Value::from(format!("{}-2", name.as_str().expect("a string")));
    let west = || [("location", Value::from("westus2"))];
    Ok(match kind {
        kind if *kind == RESOURCE_GROUP => {
            let desired = attributes([("name", name.clone()), ("tags", tags("a"))]);
            let in_place = with(&desired, [("tags", tags("b"))]);
            let replaced = with(&desired, [("name", other_name())]);
            samples(desired, in_place, replaced)
        }
        kind if *kind == NETWORK => {
            let desired = attributes([("name", name), ("cidr", "10.0.0.0/16".into()), ("tags", tags("a"))]);
            let in_place = with(&desired, [("cidr", "10.0.0.0/15".into()), ("tags", Value::NULL)]);
            let replaced = with(&desired, west());
            samples(desired, in_place, replaced)
        }
        kind if *kind == SUBNET => {
            let network = network(bench).await?;
            let rules = security_group(bench).await?;
            let desired = attributes([
                ("name", name.clone()),
                ("network", network),
                ("cidr", "10.0.1.0/24".into()),
            ]);
            let in_place = with(&desired, [("security_group", rules)]);
            let replaced = with(&desired, [("name", other_name())]);
            samples(desired, in_place, replaced)
        }
        kind if *kind == SECURITY_GROUP => {
            let ssh = |sources| rule("ssh", 200, "tcp", sources, texts(["22"]));
            let mavlink = rule(
                "mavlink",
                100,
                "udp",
                texts(["10.1.0.0/16", "10.0.0.0/16"]),
                texts(["14560-14570", "53"]),
            );
            let rules = Value::tuple([ssh(texts(["*"])), mavlink]);
            let desired = attributes([("name", name), ("rules", rules), ("tags", tags("a"))]);
            let in_place = with(&desired, [("rules", Value::tuple([ssh(texts(["10.9.0.0/16"]))]))]);
            let replaced = with(&desired, west());
            samples(desired, in_place, replaced)
        }
        kind if *kind == PUBLIC_IP => {
            let desired = attributes([("name", name), ("zones", texts(["2", "1"])), ("tags", tags("a"))]);
            let in_place = with(
                &desired,
                [
                    ("idle_timeout", 10u64.into()),
                    ("dns_label", bench.unique("dns").into()),
                ],
            );
            let replaced = with(&desired, [("zones", texts(["3"]))]);
            samples(desired, in_place, replaced)
        }
        kind if *kind == NIC => {
            let (first, second) = (subnet(bench).await?, subnet(bench).await?);
            let desired = attributes([
                ("name", name),
                ("subnet", first),
                ("security_group", security_group(bench).await?),
                ("accelerated", true.into()),
            ]);
            let in_place = with(
                &desired,
                [("public_ip", public_ip(bench).await?), ("security_group", Value::NULL)],
            );
            let replaced = with(&desired, [("subnet", second)]);
            samples(desired, in_place, replaced)
        }
        kind if *kind == LOAD_BALANCER => {
            let rule = Value::object([
                ("name", Value::from("web")),
                ("protocol", "tcp".into()),
                ("port", 80u64.into()),
                ("backend_port", 8080u64.into()),
                ("probe", "http".into()),
            ]);
            let desired = attributes([
                ("name", name.clone()),
                ("public_ip", public_ip(bench).await?),
                ("probes", Value::tuple([probe("/health")])),
                ("rules", Value::tuple([rule])),
            ]);
            let in_place = with(
                &desired,
                [("probes", Value::tuple([probe("/ready")])), ("tags", tags("b"))],
            );
            let replaced = with(&desired, [("name", other_name())]);
            samples(desired, in_place, replaced)
        }
        kind if *kind == SCALE_SET => {
            let desired = attributes([("name", name), ("zones", texts(["1", "2"])), ("tags", tags("a"))]);
            let in_place = with(&desired, [("tags", tags("b"))]);
            let replaced = with(&desired, [("zones", texts(["3"]))]);
            samples(desired, in_place, replaced)
        }
        kind => {
            assert_eq!(*kind, VM);
            let disk = Value::object([
                ("lun", Value::from(1u64)),
                ("gib", 32u64.into()),
                ("type", "StandardSSD_LRS".into()),
            ]);
            let desired = with(
                &machine(bench).await?,
                [
                    ("name", name),
                    ("zone", "1".into()),
                    ("disk_gib", 64u64.into()),
                    ("disk_type", "Premium_LRS".into()),
                    ("data_disks", Value::tuple([disk])),
                    (
                        "user_data",
                        Value::from("#cloud-config\npassword: hunter2\n").mark(true),
                    ),
                    ("spot", Value::object([("eviction", Value::from("delete"))])),
                    ("tags", tags("a")),
                ],
            );
            let in_place = with(
                &desired,
                [("size", "Standard_B4ms".into()), ("system_identity", true.into())],
            );
            let replaced = with(&desired, [("image", OTHER_IMAGE.into())]);
            samples(desired, in_place, replaced)
        }
    })
}
