"""azure-cli drives the emulator as a registered cloud over TLS. Machines and sets are put with `az rest`: `az vm create` submits a
template deployment, which is not emulated."""
import json
import os
import subprocess
import sys
import tempfile
import time

from sdk import GROUP, IMAGE, REGION, SUBSCRIPTION, URL, control, machine, os_profile

BASE = f"{URL}/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers"


def az(*arguments, fails=None):
    """Runs a command. Returns what it prints; with `fails` it must fail, and tell that."""
    command = [sys.executable, "-m", "azure.cli", *arguments, "--only-show-errors", "--output", "json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if fails:
        assert ended.returncode != 0 and fails in ended.stderr, f"az {' '.join(arguments)}: {ended.stdout}{ended.stderr}"
        return None
    assert ended.returncode == 0, f"az {' '.join(arguments)}: {ended.stderr}"
    return json.loads(ended.stdout) if ended.stdout.strip() else None


def put(path, body):
    """Puts something with `az rest`, and waits until it is made."""
    url = f"{BASE}/{path}?api-version=2024-07-01"
    az("rest", "--method", "put", "--url", url, "--resource", URL, "--body", json.dumps(body))
    deadline = time.time() + 60
    while (seen := az("rest", "--url", url, "--resource", URL))["properties"]["provisioningState"] != "Succeeded":
        assert time.time() < deadline, seen
    return seen


def main():
    az("config", "set", "core.instance_discovery=false", "core.collect_telemetry=false", "clients.show_secrets_warning=false")
    az("cloud", "register", "--name", "emulated", "--endpoint-resource-manager", URL)
    az("cloud", "set", "--name", "emulated")
    account = az("login", "--service-principal", "--username", os.environ["EMULATOR_CLIENT"], "--password",
                 os.environ["EMULATOR_SECRET"], "--tenant", os.environ["EMULATOR_TENANT"])
    assert [a["id"] for a in account] == [SUBSCRIPTION], account
    assert az("account", "show")["state"] == "Enabled"
    assert az("account", "get-access-token")["accessToken"].count(".") == 2

    az("group", "create", "--name", GROUP, "--location", REGION)
    az("network", "nsg", "create", "-g", GROUP, "-n", "rules")
    az("network", "nsg", "rule", "create", "-g", GROUP, "--nsg-name", "rules", "-n", "ssh", "--priority", "100",
       "--access", "Allow", "--protocol", "Tcp", "--destination-port-ranges", "22")
    az("network", "vnet", "create", "-g", GROUP, "-n", "net", "--address-prefixes", "10.0.0.0/16",
       "--subnet-name", "agents", "--subnet-prefixes", "10.0.1.0/24", "--nsg", "rules")
    az("network", "public-ip", "create", "-g", GROUP, "-n", "ip", "--sku", "Standard")
    interface = az("network", "nic", "create", "-g", GROUP, "-n", "nic", "--vnet-name", "net", "--subnet", "agents",
                   "--public-ip-address", "ip")["NewNIC"]
    put("Microsoft.Compute/virtualMachines/vm", machine(interface["id"]))

    # List, show, and what is refused.
    assert [v["name"] for v in az("vm", "list", "-g", GROUP)] == ["vm"]
    assert [v["name"] for v in az("vm", "list")] == ["vm"]
    shown = az("vm", "show", "-g", GROUP, "-n", "vm", "--show-details")
    assert shown["powerState"] == "VM running" and shown["privateIps"] == "10.0.1.4" and shown["publicIps"], shown
    assert az("vm", "get-instance-view", "-g", GROUP, "-n", "vm")["instanceView"]["statuses"]
    az("vm", "show", "-g", GROUP, "-n", "none", fails="ResourceNotFound")
    az("network", "nic", "delete", "-g", GROUP, "-n", "nic", fails="NicInUse")
    az("network", "vnet", "subnet", "delete", "-g", GROUP, "--vnet-name", "net", "-n", "agents", fails="InUseSubnetCannotBeDeleted")

    # Changes.
    assert az("vm", "update", "-g", GROUP, "-n", "vm", "--set", "tags.drift=yes")["tags"]["drift"] == "yes"
    az("vm", "deallocate", "-g", GROUP, "-n", "vm")
    assert az("vm", "show", "-g", GROUP, "-n", "vm", "--show-details")["powerState"] == "VM deallocated"
    az("vm", "start", "-g", GROUP, "-n", "vm")
    az("vm", "restart", "-g", GROUP, "-n", "vm")
    az("disk", "create", "-g", GROUP, "-n", "data", "--size-gb", "8")
    az("vm", "disk", "attach", "-g", GROUP, "--vm-name", "vm", "--name", "data")
    assert az("disk", "show", "-g", GROUP, "-n", "data")["diskState"] == "Attached"
    az("vm", "disk", "detach", "-g", GROUP, "--vm-name", "vm", "--name", "data")
    assert az("disk", "show", "-g", GROUP, "-n", "data")["diskState"] == "Unattached"

    # A uniform set: scaled, and instances deleted by name.
    subnet = az("network", "vnet", "subnet", "show", "-g", GROUP, "--vnet-name", "net", "-n", "agents")["id"]
    profile = {k: v for k, v in os_profile("x").items() if k != "computerName"}
    put("Microsoft.Compute/virtualMachineScaleSets/set", {
        "location": REGION, "sku": {"name": "Standard_B2s", "capacity": 2}, "properties": {
            "orchestrationMode": "Uniform", "upgradePolicy": {"mode": "Manual"}, "virtualMachineProfile": {
                "storageProfile": {"imageReference": IMAGE, "osDisk": {"createOption": "FromImage"}},
                "osProfile": {**profile, "computerNamePrefix": "agent"},
                "networkProfile": {"networkInterfaceConfigurations": [{"name": "nic", "properties": {
                    "primary": True, "ipConfigurations": [{"name": "a", "properties": {"subnet": {"id": subnet}}}]}}]}}}})
    assert [s["name"] for s in az("vmss", "list", "-g", GROUP)] == ["set"]
    assert az("vmss", "scale", "-g", GROUP, "-n", "set", "--new-capacity", "4")["sku"]["capacity"] == 4
    instances = az("vmss", "list-instances", "-g", GROUP, "-n", "set")
    assert [i["instanceId"] for i in instances] == ["0", "1", "2", "3"], instances
    az("vmss", "update", "-g", GROUP, "-n", "set", "--instance-id", "3", "--protect-from-scale-in", "true")
    az("vmss", "delete-instances", "-g", GROUP, "-n", "set", "--instance-ids", "0", "2")
    assert [i["instanceId"] for i in az("vmss", "list-instances", "-g", GROUP, "-n", "set")] == ["1", "3"]
    assert az("vmss", "show", "-g", GROUP, "-n", "set")["sku"]["capacity"] == 2
    assert az("vmss", "get-instance-view", "-g", GROUP, "-n", "set")["virtualMachine"]["statusesSummary"]

    # A flexible set and a member of it.
    flexible = put("Microsoft.Compute/virtualMachineScaleSets/pool", {
        "location": REGION, "properties": {"orchestrationMode": "Flexible", "platformFaultDomainCount": 1}})
    extra = az("network", "nic", "create", "-g", GROUP, "-n", "extra", "--vnet-name", "net", "--subnet", "agents")["NewNIC"]
    put("Microsoft.Compute/virtualMachines/pool-1", machine(extra["id"], properties={"virtualMachineScaleSet": {"id": flexible["id"]}}))
    assert [i["name"] for i in az("vmss", "list-instances", "-g", GROUP, "-n", "pool")] == ["pool-1"]
    az("vmss", "delete-instances", "-g", GROUP, "-n", "pool", "--instance-ids", "pool-1")
    assert [v["name"] for v in az("vm", "list", "-g", GROUP)] == ["vm"]

    # Metrics and limits.
    control("POST", "metrics", {"id": flexible["id"], "metric": "Percentage CPU", "value": 42})
    metrics = az("monitor", "metrics", "list", "--resource", flexible["id"], "--metrics", "Percentage CPU", "--interval", "PT1M")
    assert any(p.get("average") == 42 for p in metrics["value"][0]["timeseries"][0]["data"]), metrics
    assert any(u["name"]["value"] == "cores" for u in az("vm", "list-usage", "--location", REGION))
    assert az("vm", "list-skus", "--location", REGION, "--size", "Standard_B4ms")

    # All is deleted.
    az("vm", "delete", "-g", GROUP, "-n", "vm", "--yes")
    az("vmss", "delete", "-g", GROUP, "-n", "set")
    az("group", "delete", "--name", GROUP, "--yes")
    assert az("group", "list") == []
    assert control("GET", "objects") == []


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        os.environ["AZURE_CONFIG_DIR"] = directory
        main()
