use serde_json::{Value, json};
use simfleet_azure_emulator::Options;

use crate::support::*;

fn rule(name: &str, priority: u64, ports: &str) -> Value {
    json!({"name": name, "properties": {
        "priority": priority, "direction": "Inbound", "access": "Allow", "protocol": "tcp", "sourceAddressPrefix": "*",
        "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": ports,
    }})
}

fn rules(rules: Value) -> Value {
    json!({"location": "eastus", "properties": {"securityRules": rules}})
}

fn address() -> Value {
    json!({"location": "eastus", "sku": {"name": "Standard"}, "properties": {"publicIPAllocationMethod": "Static"}})
}

#[tokio::test]
async fn a_network_fills_in_what_is_not_said() {
    let arm = Arm::with_network(Options::default()).await;
    let seen = arm.get(&network("virtualNetworks/net")).await.is(200).body;
    let properties = &seen["properties"];
    assert_eq!(properties["enableDdosProtection"], false);
    assert_eq!(properties["virtualNetworkPeerings"], json!([]));
    let shown = &properties["subnets"][0];
    assert_eq!(shown["id"], subnet());
    assert_eq!(shown["properties"]["privateEndpointNetworkPolicies"], "Disabled");
    assert_eq!(arm.get(&subnet()).await.is(200).body, *shown);
}

#[tokio::test]
async fn subnets_must_fit_and_not_overlap() {
    let arm = Arm::with_network(Options::default()).await;
    let put = |prefix: &str| {
        let body = json!({"properties": {"addressPrefix": prefix}});
        let arm = &arm;
        async move { arm.put(&network("virtualNetworks/net/subnets/more"), body).await }
    };
    put("10.1.0.0/24").await.fails(400, "NetcfgInvalidSubnet");
    put("10.0.1.0/25").await.fails(400, "NetcfgSubnetRangesOverlap");
    put("10.0.2.1/24").await.fails(400, "InvalidCIDRNotation");
    let made = put("10.0.2.0/24").await.is(201);
    assert_eq!(arm.end(&made).await["status"], "Succeeded");
    let both = arm.get(&network("virtualNetworks/net/subnets")).await.is(200).body;
    assert_eq!(both["value"].as_array().expect("a list").len(), 2);
    let deleted = arm.delete(&network("virtualNetworks/net/subnets/more")).await.is(202);
    arm.end(&deleted).await;
    arm.get(&network("virtualNetworks/net/subnets/more"))
        .await
        .fails(404, "NotFound");
    arm.delete(&network("virtualNetworks/net/subnets/more")).await.is(204);
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted() {
    let arm = Arm::with_network(Options::default()).await;
    arm.made(
        &network("networkSecurityGroups/rules"),
        rules(json!([rule("ssh", 100, "22")])),
    )
    .await;
    arm.made(&network("publicIPAddresses/ip"), address()).await;
    let mut body = interface_body();
    body["properties"]["networkSecurityGroup"] = json!({"id": network("networkSecurityGroups/rules")});
    body["properties"]["ipConfigurations"][0]["properties"]["publicIPAddress"] =
        json!({"id": network("publicIPAddresses/ip")});
    let made = arm.made(&network("networkInterfaces/nic"), body.clone()).await;
    assert_eq!(
        made["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"],
        "10.0.1.4"
    );
    arm.delete(&subnet()).await.fails(400, "InUseSubnetCannotBeDeleted");
    arm.delete(&network("virtualNetworks/net"))
        .await
        .fails(400, "InUseSubnetCannotBeDeleted");
    arm.delete(&network("networkSecurityGroups/rules"))
        .await
        .fails(400, "InUseNetworkSecurityGroupCannotBeDeleted");
    arm.delete(&network("publicIPAddresses/ip"))
        .await
        .fails(400, "PublicIPAddressCannotBeDeleted");
    arm.put(&network("networkInterfaces/other"), body)
        .await
        .fails(400, "PublicIPAddressInUse");
    // A put of the network that leaves the subnet out would delete it.
    let without = json!({"location": "eastus", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}});
    arm.put(&network("virtualNetworks/net"), without)
        .await
        .fails(400, "InUseSubnetCannotBeDeleted");
    let group = arm.get(&network("networkSecurityGroups/rules")).await.is(200).body;
    assert_eq!(
        group["properties"]["networkInterfaces"],
        json!([{"id": network("networkInterfaces/nic")}])
    );
    for path in [
        "networkInterfaces/nic",
        "publicIPAddresses/ip",
        "networkSecurityGroups/rules",
        "virtualNetworks/net",
    ] {
        let deleted = arm.delete(&network(path)).await.is(202);
        assert_eq!(arm.end(&deleted).await["status"], "Succeeded");
    }
    assert_eq!(arm.control.ids(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_referred_to_must_be_there() {
    let arm = Arm::with_network(Options::default()).await;
    let mut body = interface_body();
    body["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"] =
        json!(network("virtualNetworks/net/subnets/none"));
    arm.put(&network("networkInterfaces/nic"), body)
        .await
        .fails(400, "InvalidResourceReference");
    let mut elsewhere = interface_body();
    elsewhere["location"] = json!("westus");
    arm.put(&network("networkInterfaces/nic"), elsewhere)
        .await
        .fails(400, "InvalidResourceReference");
    let gone = machine_body(&network("networkInterfaces/none"));
    arm.put(&machine("a"), gone).await.fails(404, "NotFound");
}

#[tokio::test]
async fn rules_are_checked() {
    let arm = Arm::with_network(Options::default()).await;
    let path = network("networkSecurityGroups/rules");
    let cases = [
        (json!([rule("a", 99, "22")]), "SecurityRuleInvalidPriority"),
        (
            json!([rule("a", 100, "22"), rule("b", 100, "23")]),
            "SecurityRuleConflict",
        ),
        (json!([rule("a", 100, "70000")]), "SecurityRuleInvalidPortRange"),
        (
            json!([{"name": "a", "properties": {"priority": 100}}]),
            "InvalidRequestFormat",
        ),
        (json!([rule("-", 100, "22")]), "InvalidResourceName"),
    ];
    for (given, code) in cases {
        arm.put(&path, rules(given)).await.fails(400, code);
    }
    let made = arm.made(&path, rules(json!([rule("ssh", 100, "22")]))).await;
    let shown = &made["properties"]["securityRules"][0]["properties"];
    assert_eq!(
        (&shown["protocol"], &shown["destinationPortRanges"]),
        (&json!("Tcp"), &json!([]))
    );
    assert_eq!(
        made["properties"]["defaultSecurityRules"]
            .as_array()
            .expect("a list")
            .len(),
        6
    );
    let one = arm
        .put(&format!("{path}/securityRules/web"), rule("web", 110, "80"))
        .await
        .is(201);
    arm.end(&one).await;
    let conflict = arm
        .put(&format!("{path}/securityRules/also"), rule("also", 110, "81"))
        .await;
    conflict.fails(400, "SecurityRuleConflict");
}

#[tokio::test]
async fn only_one_child_is_changed_at_a_time() {
    let options = Options {
        pass: simfleet_azure_emulator::Pass::OnDemand,
        ..Options::default()
    };
    let arm = Arm::start(options).await;
    arm.put(&group(), json!({"location": "eastus"})).await.is(201);
    arm.put(&network("networkSecurityGroups/rules"), rules(json!([])))
        .await
        .is(201);
    let path = network("networkSecurityGroups/rules/securityRules/a");
    arm.put(&path, rule("a", 100, "1"))
        .await
        .fails(409, "AnotherOperationInProgress");
    arm.control.advance(std::time::Duration::from_secs(1));
    arm.put(&path, rule("a", 100, "1")).await.is(201);
}

#[tokio::test]
async fn addresses_of_the_old_sku_are_not_given_any_more() {
    let arm = Arm::with_network(Options::default()).await;
    let path = network("publicIPAddresses/ip");
    arm.put(&path, json!({"location": "eastus"}))
        .await
        .fails(400, "IPv4BasicSkuPublicIpCountLimitReached");
    let dynamic = json!({"location": "eastus", "sku": {"name": "Standard"}});
    arm.put(&path, dynamic)
        .await
        .fails(400, "StandardAndStandardV2SkuPublicIPAddressesMustBeStatic");
    let zones = json!({"location": "eastus", "zones": ["4"], "sku": {"name": "Standard"},
        "properties": {"publicIPAllocationMethod": "Static"}});
    arm.put(&path, zones).await.fails(400, "InvalidAvailabilityZone");
    let made = arm.made(&path, address()).await;
    assert!(
        made["properties"]["ipAddress"]
            .as_str()
            .expect("an address")
            .starts_with("20.")
    );
    // It keeps its address over changes.
    let again = arm.made(&path, address()).await;
    assert_eq!(made["properties"]["ipAddress"], again["properties"]["ipAddress"]);
}

#[tokio::test]
async fn a_subnet_can_be_full() {
    let arm = Arm::with_network(Options::default()).await;
    let small = json!({"properties": {"addressPrefix": "10.0.9.0/29"}});
    let made = arm
        .put(&network("virtualNetworks/net/subnets/small"), small)
        .await
        .is(201);
    arm.end(&made).await;
    let mut body = interface_body();
    body["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"] =
        json!(network("virtualNetworks/net/subnets/small"));
    // Five addresses of eight are Azure's own.
    for number in 0..3 {
        arm.put(&network(&format!("networkInterfaces/nic{number}")), body.clone())
            .await
            .is(201);
    }
    arm.put(&network("networkInterfaces/nic3"), body)
        .await
        .fails(400, "SubnetIsFull");
}

#[tokio::test]
async fn a_balancer_knows_its_parts_and_members() {
    let arm = Arm::with_network(Options::default()).await;
    let lb = network("loadBalancers/lb");
    let body = |probe: &str| {
        json!({"location": "eastus", "sku": {"name": "Standard"}, "properties": {
            "frontendIPConfigurations": [{"name": "front", "properties": {"subnet": {"id": subnet()}}}],
            "backendAddressPools": [{"name": "pool"}],
            "probes": [{"name": "alive", "properties": {"protocol": "Tcp", "port": 80}}],
            "loadBalancingRules": [{"name": "http", "properties": {"protocol": "Tcp", "frontendPort": 80, "backendPort": 8080,
                "frontendIPConfiguration": {"id": format!("{lb}/frontendIPConfigurations/front")},
                "backendAddressPool": {"id": format!("{lb}/backendAddressPools/pool")},
                "probe": {"id": format!("{lb}/probes/{probe}")}}}],
        }})
    };
    arm.put(&lb, body("none")).await.fails(400, "InvalidResourceReference");
    let made = arm.made(&lb, body("alive")).await;
    let rule = format!("{lb}/loadBalancingRules/http");
    assert_eq!(
        made["properties"]["probes"][0]["properties"]["loadBalancingRules"],
        json!([{"id": rule}])
    );
    assert_eq!(made["properties"]["probes"][0]["properties"]["intervalInSeconds"], 15);
    let mut member = interface_body();
    member["properties"]["ipConfigurations"][0]["properties"]["loadBalancerBackendAddressPools"] =
        json!([{"id": format!("{lb}/backendAddressPools/pool")}]);
    arm.made(&network("networkInterfaces/nic"), member).await;
    let pool = arm.get(&format!("{lb}/backendAddressPools/pool")).await.is(200).body;
    let expected = json!([{"id": network("networkInterfaces/nic/ipConfigurations/primary")}]);
    assert_eq!(pool["properties"]["backendIPConfigurations"], expected);
    arm.delete(&format!("{lb}/backendAddressPools/pool")).await.is(400);
}

#[tokio::test]
async fn names_and_members_are_checked() {
    let arm = Arm::with_network(Options::default()).await;
    arm.put(&network("virtualNetworks/-net"), json!({"location": "eastus"}))
        .await
        .fails(400, "InvalidResourceName");
    let odd = json!({"location": "eastus", "colour": "red"});
    arm.put(&network("virtualNetworks/other"), odd)
        .await
        .fails(400, "InvalidRequestContent");
    let tags = json!({"location": "eastus", "tags": {"a/b": "c"}});
    arm.put(&network("virtualNetworks/other"), tags)
        .await
        .fails(400, "InvalidTagNameCharacters");
    let moved = json!({"location": "westeurope", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}});
    arm.put(&network("virtualNetworks/net"), moved)
        .await
        .fails(409, "InvalidResourceLocation");
    let tagged = arm
        .patch(&network("virtualNetworks/net"), json!({"tags": {"a": "b"}}))
        .await
        .is(200)
        .body;
    assert_eq!(
        (&tagged["tags"], &tagged["properties"]["subnets"][0]["name"]),
        (&json!({"a": "b"}), &json!("agents"))
    );
}
