//! What machines cost: in plans, and for budgets.

use serde_json::{Value, json};

use crate::cloud::{Cloud, IMAGE, KEY};
use crate::support::Fleet;

/// Returns a fleet of a node and a pool of five machines at least.
fn text(cloud: &Cloud, node: &str, pool: &str, budget: &str) -> String {
    let machine = |size: &str| {
        format!(
            "size   = \"{size}\"\n    image  = \"{IMAGE}\"\n    subnet = network.sim.subnet.all.id\n    ssh {{ public_key = \"{KEY}\" }}"
        )
    };
    let (provider, node, pool) = (cloud.provider(), machine(node), machine(pool));
    format!(
        r#"{provider}
network "sim" {{
  provider = azure
  cidr     = "10.0.0.0/16"
  subnet "all" {{ cidr = "10.0.0.0/20" }}
}}
node "single" {{
  provider = azure
    {node}
}}
pool "agents" {{
  provider = azure
  node {{
    {pool}
  }}
  autoscale {{
    min = 5
    max = 10
    {budget}
  }}
}}
"#
    )
}

#[track_caller]
fn document(cloud: &Cloud, fleet: &Fleet) -> Value {
    serde_json::from_str(&cloud.ok(fleet, &["plan", "--json"]).out).expect("JSON")
}

/// Returns the part of a plan for people that says what it costs.
fn costs(plan: &str) -> &str {
    let from = plan.find("What machines cost").unwrap_or(plan.len());
    plan[from..].split("\n\n").take(2).last().unwrap_or_default()
}

#[test]
fn a_plan_says_what_machines_cost_and_a_budget_caps_them_by_what_is_listed() {
    let cloud = Cloud::start();
    // A member costs 0.0832: that is 0.2496 for three, and too much for four.
    let budget = "budget { max_hourly = 0.25 }";
    let fleet = Fleet::new(&text(&cloud, "Standard_B4ms", "Standard_B2ms", budget));
    assert_eq!(costs(&cloud.ok(&fleet, &["plan"]).out), "  ~ 0.00 -> 0.4156 USD");
    let plan = document(&cloud, &fleet);
    assert_eq!(
        plan["costs"],
        json!([{ "currency": "USD", "before": 0.0, "after": 0.4156 }])
    );
    assert_eq!((&plan["unpriced"], &plan["pools"][0]["after"]), (&json!([]), &json!(3)));
    cloud.applied(&fleet);
    let plan = document(&cloud, &fleet);
    assert_eq!(
        plan["costs"],
        json!([{ "currency": "USD", "before": 0.4156, "after": 0.4156 }])
    );

    // A larger machine costs more, and one of which nobody knows the price is named.
    fleet.write(&text(&cloud, "Standard_B8ms", "Standard_B2ms", budget));
    assert_eq!(costs(&cloud.ok(&fleet, &["plan"]).out), "  ~ 0.4156 -> 0.5826 USD");
    fleet.write(&text(&cloud, "Standard_D16s_v5", "Standard_B2ms", budget));
    let shown = cloud.ok(&fleet, &["plan"]).out;
    assert_eq!(
        costs(&shown),
        "  ~ 0.4156 -> 0.2496 USD\n  ? 1 machine, of which no price is known: Standard_D16s_v5 in eastus"
    );
    let plan = document(&cloud, &fleet);
    assert_eq!(
        plan["unpriced"],
        json!([{ "address": "node.single", "of": "Standard_D16s_v5 in eastus" }])
    );

    // The fleet says otherwise, for all machines of a size or for a pool.
    let own = text(&cloud, "Standard_D16s_v5", "Standard_B2ms", budget).replace(
        "region ",
        "prices = { Standard_D16s_v5 = 0.7, standard_b2ms = 0.12 }\n  region ",
    );
    fleet.write(&own);
    let plan = document(&cloud, &fleet);
    assert_eq!(plan["costs"][0]["after"], json!(0.94));
    assert_eq!(plan["pools"][0]["after"], json!(2), "so many for the budget");
    fleet.write(&own.replace("  node {\n", "  price_hourly = 0.05\n  node {\n"));
    let plan = document(&cloud, &fleet);
    assert_eq!(
        (&plan["costs"][0]["after"], &plan["pools"][0]["after"]),
        (&json!(0.95), &json!(5))
    );

    fleet.write(&text(&cloud, "Standard_B4ms", "Standard_B2ms", budget));
    let destroyed = cloud.ok(&fleet, &["destroy", "--auto-approve"]).out;
    assert_eq!(costs(&destroyed), "  ~ 0.4156 -> 0.00 USD");
}

#[test]
fn a_budget_without_a_price_is_refused_with_its_place() {
    let cloud = Cloud::start();
    let mut report = String::new();
    for (size, budget, region) in [
        ("Standard_D16s_v5", "budget { max_hourly = 1 }", "eastus"),
        ("Standard_B2ms", "budget { max_hourly = 1 }", "westeurope"),
        (
            "Standard_B2ms",
            "budget {\n      max_hourly = 1\n      currency = \"EUR\"\n    }",
            "eastus",
        ),
    ] {
        let text = text(&cloud, "Standard_B4ms", size, budget).replace("\"eastus\"", &format!("{region:?}"));
        let ended = cloud.run(&Fleet::new(&text), &["plan"]);
        assert_eq!(ended.code, Some(1), "{size}: {}", ended.out);
        report.push_str(&format!("## {size} in {region}\n{}\n", ended.err));
    }
    insta::assert_snapshot!("no_price", report);
}
