//! Several configurations of one provider, and configurations that read what other resources tell, over clouds of their own.
#![cfg(feature = "fake")]

mod support;

use std::sync::Arc;

use simfleet::plan::Mode;
use simfleet_provider_api::Address;
use simfleet_provider_fake::faults::Faults;
use simfleet_provider_fake::gateway::Gateway;
use simfleet_provider_fake::server::Server;
use support::bench::{Bench, Lab, changes};

/// A cloud of its own, and where it is reached.
struct Cloud {
    gateway: Arc<Gateway>,
    endpoint: String,
}

impl Cloud {
    async fn start() -> Self {
        let gateway = Gateway::new(Faults::default());
        let server = Server::bind(gateway.clone()).await.expect("a port is free");
        let endpoint = server.endpoint();
        tokio::spawn(server.run());
        Cloud { gateway, endpoint }
    }

    /// The names of what is in it, sorted.
    fn names(&self) -> Vec<String> {
        let name = |fields: serde_json::Value| fields["name"].as_str().unwrap_or_default().to_owned();
        let objects = self.gateway.objects().into_iter();
        let mut names: Vec<_> = objects
            .map(|object| name(serde_json::to_value(object.fields).expect("it is JSON")))
            .collect();
        names.sort();
        names
    }
}

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Returns what a refused fleet tells.
async fn refused(bench: &Bench) -> String {
    match bench.open(Mode::Apply, &[]) {
        Err(error) => format!("{error:?}"),
        Ok(fleet) => format!("{:?}", fleet.plan().await.expect_err("it is refused")),
    }
}

#[tokio::test]
async fn each_alias_has_its_cloud() {
    let (east, west) = (Cloud::start().await, Cloud::start().await);
    let providers = format!(
        "provider \"fake\" {{ endpoint = \"{}\" }}\nprovider \"fake\" {{\n  alias = \"west\"\n  endpoint = \"{}\"\n}}\n",
        east.endpoint, west.endpoint
    );
    let fleet = |of_b: &str| {
        format!(
            "{providers}node \"a\" {{}}\nnode \"b\" {{ provider = {of_b} }}\nmodule \"m\" {{\n  source    = \"./m\"\n  providers \
             = {{ fake = fake.west }}\n}}\n"
        )
    };
    let bench = Bench::new(&fleet("fake.west"));
    std::fs::create_dir(bench.path().join("m")).expect("a folder");
    std::fs::write(bench.path().join("m/m.hcl"), "node \"c\" {}\n").expect("a file");
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    assert_eq!(
        (east.names(), west.names()),
        (named(&["node.a"]), named(&["module.m.node.c", "node.b"]))
    );
    assert!(bench.plan(Mode::Apply, &[]).await.is_empty());

    // What gets another cloud is made there, and goes where it was.
    bench.write(&fleet("fake"));
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert_eq!(changes(&plan), ["replace node.b"]);
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    assert_eq!(
        (east.names(), west.names()),
        (named(&["node.a", "node.b"]), named(&["module.m.node.c"]))
    );
    assert!(bench.plan(Mode::Apply, &[]).await.is_empty());

    // What is not declared any more goes from the cloud that it is recorded to be in, whose block is gone too.
    let only = format!(
        "provider \"fake\" {{ endpoint = \"{}\" }}\nnode \"a\" {{}}\n",
        east.endpoint
    );
    bench.write(&only);
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    assert_eq!((east.names(), west.names()), (named(&["node.a"]), named(&[])));
    assert!(bench.apply(Mode::Destroy, &[]).await.is_complete());
    assert_eq!(east.names(), named(&[]));
}

#[tokio::test]
async fn an_alias_is_never_chosen_by_itself() {
    let bench = Bench::new("provider \"fake\" { alias = \"west\" }\nnode \"a\" {}\n");
    assert!(refused(&bench).await.contains("No provider"));
    bench.write("provider \"fake\" { alias = \"west\" }\nnode \"a\" { provider = fake.wset }\n");
    let told = refused(&bench).await;
    assert!(told.contains("did you mean `fake.west`?"), "{told}");
}

/// The endpoint depends on an address that is known once a node is there.
fn discovered(cloud: &Cloud, gateway: &str) -> String {
    format!(
        "provider \"fake\" {{}}\nprovider \"fake\" {{\n  alias    = \"inner\"\n  endpoint = node.gateway.address == \"\" ? \"\" : \
         \"{}\"\n}}\nnode \"gateway\" {{{gateway}}}\nnode \"inner\" {{\n  count    = 2\n  provider = fake.inner\n}}\noutput \
         \"inner\" {{ value = node.inner[*].name }}\n",
        cloud.endpoint
    )
}

#[tokio::test]
async fn a_provider_is_configured_in_the_walk_once_what_it_reads_is_known() {
    let cloud = Cloud::start().await;
    let bench = Bench::new(&discovered(&cloud, ""));
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert_eq!(
        changes(&plan),
        ["create node.gateway", "create node.inner[0]", "create node.inner[1]"]
    );
    let inner: Address = "node.inner[0]".parse().expect("an address");
    let change = plan
        .changes
        .iter()
        .find(|change| change.address == inner)
        .expect("planned");
    let settings = &change.provider.as_ref().expect("it has one").settings;
    assert!(
        !settings.is_known(),
        "what the first plan cannot know is not guessed: {settings:?}"
    );
    let gateway: Address = "node.gateway".parse().expect("an address");
    assert!(
        change.depends_on.contains(&gateway),
        "it waits for what its provider reads"
    );

    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    assert_eq!(cloud.names(), ["node.inner[0]", "node.inner[1]"]);
    assert!(
        bench.plan(Mode::Apply, &[]).await.is_empty(),
        "what is recorded is known to the next plan"
    );

    // The gateway is made anew, so its address is not known until then; the cloud turns out to be the same.
    let replaced = discovered(&cloud, " image = \"other\" ");
    bench.write(&replaced);
    let outcome = bench.apply(Mode::Apply, &[]).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(cloud.names(), ["node.inner[0]", "node.inner[1]"]);
    assert!(bench.plan(Mode::Apply, &[]).await.is_empty());

    // What was made by it goes before what it reads.
    assert!(bench.apply(Mode::Destroy, &[]).await.is_complete());
    assert_eq!(cloud.names(), named(&[]));
}

/// Where what it reads cannot be made, what it would make is left out, and the next run makes it.
#[tokio::test]
async fn what_waits_for_a_provider_is_made_by_a_later_run() {
    let cloud = Cloud::start().await;
    let text = discovered(&cloud, "").replace(
        "provider \"fake\" {}",
        "provider \"fake\" { endpoint = \"http://127.0.0.1:1\" }",
    );
    let lab = Lab::new(&text);
    let (_, outcome) = lab.run(Mode::Apply).await;
    assert!(!outcome.is_complete());
    assert_eq!(cloud.names(), named(&[]));
    lab.bench.write(&discovered(&cloud, ""));
    lab.complete(Mode::Apply).await;
    assert_eq!(cloud.names(), ["node.inner[0]", "node.inner[1]"]);
}
