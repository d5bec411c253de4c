//! Operations that fail, that are slow, that another run takes over, and refusals that say what to change.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use simfleet_azure_emulator::{Fault, FaultEffect, Options, Pace};
use simfleet_provider_api::{
    Attributes, Found, Kind, Object, ObjectId, Observed, Provider, ProviderError, ProviderType, Step, Token, Value,
};
use simfleet_provider_azure::schema::{
    BACKEND, LOAD_BALANCER, NETWORK, NIC, PUBLIC_IP, RESOURCE_GROUP, SCALE_SET, SECURITY_GROUP, SUBNET, VM,
};

use crate::rig::{GROUP, Rig};
use crate::samples::{IMAGE, KEY, attributes, texts, with};

/// A fleet's run.
pub struct Run {
    pub provider: Arc<dyn Provider>,
}

pub fn token(number: u64) -> Token {
    // The start of a token is in names, so it must differ there.
    Token(format!("{number:012x}{:020x}", 7).into())
}

impl Run {
    pub async fn new(rig: &Rig) -> Self {
        let provider = Rig::provider_type()
            .configure(&rig.settings(), &Rig::context("fleet"))
            .await;
        Run {
            provider: provider.expect("the settings are sound"),
        }
    }

    pub async fn settle(&self, kind: &Kind, mut step: Step) -> Result<Step, ProviderError> {
        for _ in 0..2_000 {
            let Step::Running { handle, poll_after } = &step else {
                return Ok(step);
            };
            tokio::time::sleep((*poll_after).max(Duration::from_millis(2))).await;
            step = self.provider.poll(kind, handle).await?;
        }
        panic!("it does not end: {step:?}");
    }

    pub async fn make(&self, kind: &Kind, number: u64, wanted: &Attributes) -> Result<Object, ProviderError> {
        let step = self.provider.create(kind, &token(number), wanted).await?;
        match self.settle(kind, step).await? {
            Step::Done(object) => Ok(object),
            other => panic!("{other:?}"),
        }
    }

    pub async fn made(&self, kind: &Kind, number: u64, wanted: &Attributes) -> Object {
        self.make(kind, number, wanted).await.expect("it is made")
    }

    pub async fn delete(&self, kind: &Kind, object: &Object) -> Result<Step, ProviderError> {
        let step = self.provider.delete(kind, object, &token(0)).await?;
        self.settle(kind, step).await
    }

    /// Makes what a machine needs, and returns what it is like.
    pub async fn machine(&self) -> Attributes {
        let network = attributes([("name", "net".into()), ("cidr", "10.0.0.0/16".into())]);
        let network = self.made(&NETWORK, 1, &network).await;
        let subnet = attributes([
            ("name", "agents".into()),
            ("network", id(&network)),
            ("cidr", "10.0.0.0/20".into()),
        ]);
        let subnet = self.made(&SUBNET, 2, &subnet).await;
        let nic = self
            .made(&NIC, 3, &attributes([("name", "nic".into()), ("subnet", id(&subnet))]))
            .await;
        attributes([
            ("name", "m1".into()),
            ("size", "Standard_B2ms".into()),
            ("image", IMAGE.into()),
            ("nic", id(&nic)),
            ("admin_user", "azureuser".into()),
            ("ssh_public_key", KEY.into()),
        ])
    }
}

fn id(object: &Object) -> Value {
    object.id.to_string().into()
}

fn message(error: &ProviderError) -> String {
    error.to_string()
}

#[tokio::test]
async fn a_create_that_fails_late_says_why_and_leaves_nothing() {
    let rig = Rig::start().await;
    let run = Run::new(&rig).await;
    let wanted = run.machine().await;
    let effect = FaultEffect::FailOperation {
        code: "AllocationFailed".to_owned(),
        message: Some("No room.".to_owned()),
        details: vec![(
            "OverconstrainedAllocationRequest".to_owned(),
            "Too much is asked for.".to_owned(),
        )],
        inner: None,
    };
    rig.control()
        .fault(Fault::new(effect).on("PUT", "/virtualMachines/").times(1));
    let error = run.make(&VM, 4, &wanted).await.expect_err("it fails");
    assert_eq!(
        message(&error),
        "cannot make the vm `m1-000000000004`: AllocationFailed: No room (OverconstrainedAllocationRequest: Too much is asked for); \
         there is no room for this size now: take another `size`, more zones, or try later"
    );
    assert!(matches!(error, ProviderError::Rejected { .. }), "{error:?}");
    assert_eq!(run.provider.find(&VM, &token(4), &wanted).await, Ok(Found::Nothing));
    let left: Vec<String> = rig
        .control()
        .ids()
        .into_iter()
        .filter(|id| id.contains("Microsoft.Compute"))
        .collect();
    assert_eq!(left, Vec::<String>::new(), "machine and disk are gone");
    // The interface is free again.
    run.made(&VM, 5, &wanted).await;
}

#[tokio::test]
async fn a_machine_that_never_boots_is_taken_over_and_cleared() {
    let rig = Rig::start().await;
    let pace = Pace {
        boot_timeout_ms: 200,
        ..rig.control().pace()
    };
    rig.control().set_pace(pace);
    let first = Run::new(&rig).await;
    let wanted = first.machine().await;
    rig.control().fault(
        Fault::new(FaultEffect::NeverBoot)
            .on("PUT", "/virtualMachines/")
            .times(1),
    );
    let step = first
        .provider
        .create(&VM, &token(4), &wanted)
        .await
        .expect("it is accepted");
    assert!(matches!(step, Step::Running { .. }), "{step:?}");
    drop((first, step));

    // Another run knows the token only.
    let second = Run::new(&rig).await;
    let found = second.provider.find(&VM, &token(4), &wanted).await;
    let Ok(Found::InProgress(handle)) = found else {
        panic!("{found:?}");
    };
    let poll_after = Duration::ZERO;
    let error = second
        .settle(&VM, Step::Running { handle, poll_after })
        .await
        .expect_err("it does not boot");
    assert!(message(&error).contains("OSProvisioningTimedOut"), "{error}");
    assert_eq!(second.provider.find(&VM, &token(4), &wanted).await, Ok(Found::Nothing));
}

#[tokio::test]
async fn a_run_that_was_killed_goes_on_by_its_token_or_its_handle() {
    let rig = Rig::start().await;
    let first = Run::new(&rig).await;
    let wanted = first.machine().await;
    let slow = FaultEffect::SlowOperation { milliseconds: 60_000 };
    rig.control().fault(Fault::new(slow).on("PUT", "/virtualMachines/"));
    let step = first
        .provider
        .create(&VM, &token(4), &wanted)
        .await
        .expect("it is accepted");
    drop(first);

    let second = Run::new(&rig).await;
    let found = second.provider.find(&VM, &token(4), &wanted).await.expect("an answer");
    assert!(matches!(found, Found::InProgress(_)), "{found:?}");
    // To ask once more takes what is being made.
    let again = second
        .provider
        .create(&VM, &token(4), &wanted)
        .await
        .expect("it is adopted");
    rig.control().advance(Duration::from_secs(61));
    let (one, two) = (second.settle(&VM, step).await, second.settle(&VM, again).await);
    let (Ok(Step::Done(one)), Ok(Step::Done(two))) = (one, two) else {
        panic!("both end with the machine");
    };
    assert_eq!(one, two);
    assert_eq!(
        second.provider.list(&VM).await.expect("a list").map(|list| list.len()),
        Some(1)
    );
}

#[tokio::test]
async fn quota_and_sizes_say_what_to_change() {
    let rig = Rig::start().await;
    let run = Run::new(&rig).await;
    let wanted = run.machine().await;
    rig.control().set_quota("eastus", "cores", 1);
    let error = run.make(&VM, 4, &wanted).await.expect_err("there are too few cores");
    assert!(message(&error).contains("ask Azure for more quota"), "{error}");
    rig.control().set_quota("eastus", "cores", 100);
    let error = run
        .make(&VM, 5, &with(&wanted, [("size", "Standard_Nope".into())]))
        .await
        .expect_err("no such size");
    assert!(
        matches!(&error, ProviderError::Rejected { attribute: Some(at), .. } if at.to_string() == "size"),
        "{error:?}"
    );
    let error = run
        .make(&VM, 6, &with(&wanted, [("image", "a:b:c:latest".into())]))
        .await
        .expect_err("no such image");
    assert!(
        matches!(&error, ProviderError::Rejected { attribute: Some(at), .. } if at.to_string() == "image"),
        "{error:?}"
    );
}

#[tokio::test]
async fn throttling_tells_when_to_ask_again() {
    let rig = Rig::start().await;
    let run = Run::new(&rig).await;
    let throttled = FaultEffect::Throttle { retry_after: Some(17) };
    rig.control().fault(Fault::new(throttled).on("GET", "/subscriptions/"));
    let error = run.provider.list(&VM).await.expect_err("it is throttled");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(17)));
    assert!(matches!(error, ProviderError::Throttled { .. }), "{error:?}");
}

#[tokio::test]
async fn tokens_that_are_revoked_are_had_anew() {
    let rig = Rig::start().await;
    let run = Run::new(&rig).await;
    assert_eq!(run.provider.list(&VM).await, Ok(Some(Vec::new())));
    rig.control().revoke_tokens();
    assert_eq!(run.provider.list(&VM).await, Ok(Some(Vec::new())));
}

#[tokio::test]
async fn a_group_that_somebody_else_made_is_used_and_not_taken() {
    let rig = Rig::start().await;
    let run = Run::new(&rig).await;
    let group = attributes([("name", GROUP.into())]);
    let used = run.made(&RESOURCE_GROUP, 1, &group).await;
    assert_eq!(used.attributes.get("made"), Some(&false.into()));
    assert_eq!(used.token, None, "nothing of it is changed");
    let seen = run
        .provider
        .read(&RESOURCE_GROUP, &ObjectId(rig.group_id().to_lowercase().into()))
        .await;
    let Ok(Observed::Present(group)) = seen else {
        panic!("{seen:?}");
    };
    let error = run
        .provider
        .delete(&RESOURCE_GROUP, &group, &token(2))
        .await
        .expect_err("it is not ours");
    assert!(matches!(error, ProviderError::Conflict { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted() {
    let rig = Rig::start().await;
    let run = Run::new(&rig).await;
    let wanted = run.machine().await;
    let machine = run.made(&VM, 4, &wanted).await;
    for (kind, name) in [(&NIC, "nic-000000000003"), (&SUBNET, "agents-000000000002")] {
        let listed = run
            .provider
            .list(kind)
            .await
            .expect("a list")
            .expect("there is one")
            .remove(0);
        let error = run.delete(kind, &listed).await.expect_err(name);
        assert!(matches!(error, ProviderError::Rejected { .. }), "{error:?}");
        assert!(
            message(&error).starts_with(&format!("cannot delete the {kind} `{name}`")),
            "{error}"
        );
    }
    assert_eq!(run.delete(&VM, &machine).await, Ok(Step::Gone));
    for kind in [NIC, SUBNET, NETWORK] {
        let listed = run
            .provider
            .list(&kind)
            .await
            .expect("a list")
            .expect("there is one")
            .remove(0);
        assert_eq!(run.delete(&kind, &listed).await, Ok(Step::Gone), "{kind}");
    }
    assert_eq!(rig.control().ids(), Vec::<String>::new(), "disks too");
}

/// A pool: its frame, its members in a balancer's pool, each in a zone.
#[tokio::test]
async fn a_scale_set_with_named_members_behind_a_load_balancer() {
    let rig = Rig::start().await;
    let run = Run::new(&rig).await;
    let machine = run.machine().await;
    let subnet = run
        .provider
        .list(&SUBNET)
        .await
        .expect("a list")
        .expect("there is one")
        .remove(0);
    let ip = run.made(&PUBLIC_IP, 10, &attributes([("name", "front".into())])).await;
    let balancer = run
        .made(
            &LOAD_BALANCER,
            11,
            &attributes([("name", "front".into()), ("public_ip", id(&ip))]),
        )
        .await;
    let pool = balancer.attributes.get("pool").cloned().expect("a pool");
    let set = run
        .made(
            &SCALE_SET,
            12,
            &attributes([("name", "agents".into()), ("zones", texts(["1", "2"]))]),
        )
        .await;
    for number in 1..=4u64 {
        let name = format!("agents-m{number}");
        let nic = attributes([("name", name.as_str().into()), ("subnet", id(&subnet))]);
        let nic = run.made(&NIC, 20 + number, &nic).await;
        let backend = attributes([("nic", id(&nic)), ("pool", pool.clone()), ("member", "m".into())]);
        run.made(&BACKEND, 50 + number, &backend).await;
        let zone = if number % 2 == 0 { "2" } else { "1" };
        let member = with(
            &machine,
            [
                ("name", name.into()),
                ("nic", id(&nic)),
                ("scale_set", id(&set)),
                ("zone", zone.into()),
            ],
        );
        run.made(&VM, 30 + number, &member).await;
    }
    let members = run.provider.list(&VM).await.expect("a list").expect("there is one");
    assert_eq!(members.len(), 4);
    for member in members {
        assert_eq!(member.attributes.get("scale_set"), Some(&id(&set)));
    }
    // The balancer does not show its members as a change.
    let seen = run.provider.read(&LOAD_BALANCER, &balancer.id).await;
    assert!(
        matches!(&seen, Ok(Observed::Present(seen)) if seen.version == balancer.version),
        "{seen:?}"
    );
    let probes = Value::tuple([Value::object([
        ("name", Value::from("tcp")),
        ("protocol", "tcp".into()),
        ("port", 80u64.into()),
        ("interval", 5u64.into()),
        ("threshold", 2u64.into()),
    ])]);
    let wanted = attributes([("name", "front".into()), ("public_ip", id(&ip)), ("probes", probes)]);
    let step = run
        .provider
        .update(&LOAD_BALANCER, &balancer, &wanted, &token(40))
        .await
        .expect("it is accepted");
    run.settle(&LOAD_BALANCER, step).await.expect("it is changed");
    let nics = run.provider.list(&NIC).await.expect("a list").expect("there is one");
    let in_pool = nics.iter().filter(|nic| nic.attributes.get("pools").is_some()).count();
    assert_eq!(in_pool, 4, "the members are still in the pool");
}

/// A network's subnets stay as they are when the network is changed, and it is not refused for what its subnets did.
#[tokio::test]
async fn a_network_is_changed_with_its_subnets_in_it() {
    let rig = Rig::start().await;
    let run = Run::new(&rig).await;
    let wanted = attributes([("name", "net".into()), ("cidr", "10.0.0.0/16".into())]);
    let network = run.made(&NETWORK, 1, &wanted).await;
    let subnet = attributes([
        ("name", "a".into()),
        ("network", id(&network)),
        ("cidr", "10.0.1.0/24".into()),
    ]);
    let subnet = run.made(&SUBNET, 2, &subnet).await;
    let wider = with(&wanted, [("cidr", "10.0.0.0/15".into())]);
    let step = run
        .provider
        .update(&NETWORK, &network, &wider, &token(3))
        .await
        .expect("it is accepted");
    run.settle(&NETWORK, step).await.expect("it is changed");
    assert_eq!(run.provider.list(&SUBNET).await, Ok(Some(vec![subnet.clone()])));
    let rules = run
        .made(&SECURITY_GROUP, 4, &attributes([("name", "rules".into())]))
        .await;
    let closed = with(&subnet.attributes, [("security_group", id(&rules))]);
    let step = run
        .provider
        .update(&SUBNET, &subnet, &closed, &token(5))
        .await
        .expect("it is accepted");
    run.settle(&SUBNET, step).await.expect("it is changed");
}

/// Ids in other letters, regions with spaces, lists in another order: nothing of that is a change.
#[tokio::test]
async fn what_azure_writes_otherwise_is_no_drift() {
    let rig = Rig::start().await;
    let run = Run::new(&rig).await;
    let machine = run.made(&VM, 4, &run.machine().await).await;
    let loud = ObjectId(
        machine
            .id
            .to_string()
            .replace("virtualmachines", "VirtualMachines")
            .into(),
    );
    let seen = run.provider.read(&VM, &loud).await;
    assert!(
        matches!(&seen, Ok(Observed::Present(seen)) if seen.id == machine.id),
        "{seen:?}"
    );
    let body = json!({ "location": "West US 2" });
    rig.az(
        reqwest::Method::PUT,
        &format!("{}-2", rig.group_id()),
        "2022-09-01",
        Some(body),
    )
    .await;
    let id = format!("{}-2", rig.group_id()).to_lowercase();
    let seen = run.provider.read(&RESOURCE_GROUP, &ObjectId(id.into())).await;
    let Ok(Observed::Present(group)) = seen else {
        panic!("{seen:?}");
    };
    assert_eq!(group.attributes.str("location"), Some("westus2"));
}

/// A refresh is one paged list a kind.
#[tokio::test]
async fn machines_are_listed_by_the_page() {
    let pace = Pace {
        network_ms: 0,
        compute_ms: 0,
        retry_after: Some(0),
        ..Pace::default()
    };
    let rig = Rig::with(Options {
        pace,
        page: 100,
        ..Options::default()
    })
    .await;
    let run = Run::new(&rig).await;
    let machine = run.machine().await;
    let subnet = run
        .provider
        .list(&SUBNET)
        .await
        .expect("a list")
        .expect("there is one")
        .remove(0);
    for number in 0..300u64 {
        let name = format!("m{number}");
        let nic = attributes([("name", name.as_str().into()), ("subnet", id(&subnet))]);
        let nic = run.made(&NIC, 1_000 + number, &nic).await;
        let machine = with(&machine, [("name", name.into()), ("nic", id(&nic))]);
        run.made(&VM, 10_000 + number, &machine).await;
    }
    rig.control().clear_log();
    let second = Run::new(&rig).await;
    assert_eq!(
        second.provider.list(&VM).await.expect("a list").map(|list| list.len()),
        Some(300)
    );
    let calls = rig
        .control()
        .log()
        .iter()
        .filter(|entry| entry.path.contains("/subscriptions/"))
        .count();
    assert_eq!(calls, 3, "100 a page");
}
