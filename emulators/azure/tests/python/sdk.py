"""Microsoft's Python clients drive the emulator, from create to delete."""
import base64
import datetime
import json
import os
import time
import urllib.request

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential, ManagedIdentityCredential
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.resource import ResourceManagementClient, SubscriptionClient

URL = os.environ["EMULATOR_URL"]
SUBSCRIPTION = os.environ["EMULATOR_SUBSCRIPTION"]
GROUP, REGION = "sim", "eastus"
IMAGE = {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl test"


def control(method, path, body=None):
    """Calls the control endpoint, where no certificate is needed."""
    data = None if body is None else json.dumps(body).encode()
    url = os.environ["EMULATOR_PLAIN_URL"] + "/_emulator/" + path
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def raises(kind, code, call):
    """Returns the error that a call raises."""
    try:
        result = call()
        if hasattr(result, "result"):
            result.result()
    except kind as error:
        assert error.error is not None and error.error.code == code, f"{code} expected: {error}"
        return error
    raise AssertionError(f"{code} was expected")


def os_profile(name):
    return {
        "computerName": name, "adminUsername": "azureuser",
        "customData": base64.b64encode(b"#cloud-config\n").decode(),
        "linuxConfiguration": {"disablePasswordAuthentication": True, "ssh": {"publicKeys": [
            {"path": "/home/azureuser/.ssh/authorized_keys", "keyData": KEY}]}},
    }


def machine(interface, **more):
    return {
        "location": REGION, "tags": {"project": "px4"},
        "properties": {
            "hardwareProfile": {"vmSize": "Standard_B4ms"},
            "storageProfile": {
                "imageReference": IMAGE,
                "osDisk": {"createOption": "FromImage", "diskSizeGB": 64, "deleteOption": "Delete",
                           "managedDisk": {"storageAccountType": "Premium_LRS"}},
            },
            "osProfile": os_profile("agent"),
            "networkProfile": {"networkInterfaces": [{"id": interface, "properties": {"deleteOption": "Delete"}}]},
            **more.pop("properties", {}),
        }, **more,
    }


def main():
    credential = ClientSecretCredential(
        os.environ["EMULATOR_TENANT"], os.environ["EMULATOR_CLIENT"], os.environ["EMULATOR_SECRET"],
        authority=URL, disable_instance_discovery=True)
    more = {"base_url": URL, "credential_scopes": [URL + "/.default"], "polling_interval": 0.05}
    subscriptions = SubscriptionClient(credential, **more)
    resources = ResourceManagementClient(credential, SUBSCRIPTION, **more)
    network = NetworkManagementClient(credential, SUBSCRIPTION, **more)
    compute = ComputeManagementClient(credential, SUBSCRIPTION, **more)
    monitor = MonitorManagementClient(credential, SUBSCRIPTION, **more)

    assert [s.subscription_id for s in subscriptions.subscriptions.list()] == [SUBSCRIPTION]
    assert len(list(subscriptions.tenants.list())) == 1
    assert resources.providers.get("Microsoft.Compute").registration_state == "Registered"
    assert resources.providers.register("Microsoft.Insights").registration_state == "Registered"

    # A group.
    assert not resources.resource_groups.check_existence(GROUP)
    resources.resource_groups.create_or_update(GROUP, {"location": REGION, "tags": {"a": "b"}})
    assert resources.resource_groups.check_existence(GROUP.upper())
    assert [g.name for g in resources.resource_groups.list()] == [GROUP]

    # A network, a security group, an address.
    nsg = network.network_security_groups.begin_create_or_update(GROUP, "rules", {"location": REGION, "properties": {
        "securityRules": [{"name": "ssh", "properties": {
            "priority": 100, "direction": "Inbound", "access": "Allow", "protocol": "Tcp", "sourceAddressPrefix": "*",
            "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "22"}}]}}).result()
    assert nsg.provisioning_state == "Succeeded" and len(nsg.default_security_rules) == 6
    network.security_rules.begin_create_or_update(GROUP, "rules", "mavlink", {"properties": {
        "priority": 110, "direction": "Inbound", "access": "Allow", "protocol": "Udp", "sourceAddressPrefix": "10.0.0.0/8",
        "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRanges": ["14560-14570"]}}).result()
    assert [r.name for r in network.security_rules.list(GROUP, "rules")] == ["ssh", "mavlink"]
    vnet = network.virtual_networks.begin_create_or_update(GROUP, "net", {"location": REGION, "properties": {
        "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
        "subnets": [{"name": "agents", "properties": {"addressPrefix": "10.0.1.0/24", "networkSecurityGroup": {"id": nsg.id}}}],
    }}).result()
    subnet = vnet.subnets[0]
    assert vnet.etag and subnet.etag and subnet.id.endswith("/virtualNetworks/net/subnets/agents")
    other = network.subnets.begin_create_or_update(GROUP, "net", "other", {"properties": {"addressPrefix": "10.0.2.0/24"}}).result()
    assert other.provisioning_state == "Succeeded"
    raises(HttpResponseError, "NetcfgSubnetRangesOverlap", lambda: network.subnets.begin_create_or_update(
        GROUP, "net", "third", {"properties": {"addressPrefix": "10.0.1.128/25"}}))
    network.subnets.begin_delete(GROUP, "net", "other").result()
    public = network.public_ip_addresses.begin_create_or_update(GROUP, "ip", {
        "location": REGION, "sku": {"name": "Standard"}, "properties": {"publicIPAllocationMethod": "Static"}}).result()
    assert public.ip_address
    balancer_id = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network/loadBalancers/lb"
    balancer = network.load_balancers.begin_create_or_update(GROUP, "lb", {
        "location": REGION, "sku": {"name": "Standard"}, "properties": {
            "frontendIPConfigurations": [{"name": "front", "properties": {"subnet": {"id": subnet.id}}}],
            "backendAddressPools": [{"name": "pool"}],
            "probes": [{"name": "alive", "properties": {"protocol": "Http", "port": 8080, "requestPath": "/healthz"}}],
            "loadBalancingRules": [{"name": "http", "properties": {
                "protocol": "Tcp", "frontendPort": 80, "backendPort": 8080,
                "frontendIPConfiguration": {"id": balancer_id + "/frontendIPConfigurations/front"},
                "backendAddressPool": {"id": balancer_id + "/backendAddressPools/pool"},
                "probe": {"id": balancer_id + "/probes/alive"}}}]}}).result()
    assert balancer.probes[0].load_balancing_rules[0].id.endswith("/loadBalancingRules/http")

    # An interface and a machine.
    interface = network.network_interfaces.begin_create_or_update(GROUP, "nic", {"location": REGION, "properties": {
        "ipConfigurations": [{"name": "primary", "properties": {
            "subnet": {"id": subnet.id}, "publicIPAddress": {"id": public.id},
            "loadBalancerBackendAddressPools": [{"id": balancer.backend_address_pools[0].id}]}}]}}).result()
    assert interface.ip_configurations[0].private_ip_address == "10.0.1.4"
    raises(HttpResponseError, "InvalidResourceReference", lambda: network.network_interfaces.begin_create_or_update(
        GROUP, "lost", {"location": REGION, "properties": {"ipConfigurations": [
            {"name": "a", "properties": {"subnet": {"id": vnet.id + "/subnets/nowhere"}}}]}}))
    vm = compute.virtual_machines.begin_create_or_update(GROUP, "vm", machine(interface.id, zones=["1"])).result()
    assert vm.provisioning_state == "Succeeded" and vm.zones == ["1"] and vm.vm_id
    view = compute.virtual_machines.instance_view(GROUP, "vm")
    assert [s.code for s in view.statuses] == ["ProvisioningState/succeeded", "PowerState/running"]
    seen = compute.virtual_machines.get(GROUP, "vm", expand="instanceView")
    assert seen.instance_view.statuses and seen.os_profile.custom_data is None
    compute.virtual_machines.begin_deallocate(GROUP, "vm").result()
    assert compute.virtual_machines.instance_view(GROUP, "vm").statuses[-1].code == "PowerState/deallocated"
    compute.virtual_machines.begin_start(GROUP, "vm").result()
    compute.virtual_machines.begin_restart(GROUP, "vm").result()
    compute.virtual_machines.begin_power_off(GROUP, "vm").result()
    compute.virtual_machines.begin_start(GROUP, "vm").result()
    updated = compute.virtual_machines.begin_update(GROUP, "vm", {"tags": {"project": "other"}}).result()
    assert updated.tags == {"project": "other"}

    # Conditions.
    raises(HttpResponseError, "PreconditionFailed", lambda: compute.virtual_machines.begin_create_or_update(
        GROUP, "vm", machine(interface.id, zones=["1"]), if_none_match="*"))
    raises(HttpResponseError, "PreconditionFailed", lambda: compute.virtual_machines.begin_create_or_update(
        GROUP, "vm", machine(interface.id, zones=["1"]), if_match='"999"'))

    # What is refused.
    raises(ResourceNotFoundError, "ResourceNotFound", lambda: compute.virtual_machines.get(GROUP, "none"))
    raises(HttpResponseError, "NicInUse", lambda: network.network_interfaces.begin_delete(GROUP, "nic"))
    raises(HttpResponseError, "InUseSubnetCannotBeDeleted", lambda: network.subnets.begin_delete(GROUP, "net", "agents"))
    raises(HttpResponseError, "PublicIPAddressCannotBeDeleted", lambda: network.public_ip_addresses.begin_delete(GROUP, "ip"))
    control("POST", "quota", {"location": REGION, "family": "standardBSFamily", "cores": 6})
    extra = network.network_interfaces.begin_create_or_update(GROUP, "extra", {"location": REGION, "properties": {
        "ipConfigurations": [{"name": "a", "properties": {"subnet": {"id": subnet.id}}}]}}).result()
    raises(HttpResponseError, "OperationNotAllowed", lambda: compute.virtual_machines.begin_create_or_update(
        GROUP, "vm2", machine(extra.id)))
    control("POST", "quota", {"location": REGION, "family": "standardBSFamily", "cores": 10000})
    control("POST", "sizes", {"location": REGION, "size": "Standard_B4ms", "available": False})
    raises(HttpResponseError, "SkuNotAvailable", lambda: compute.virtual_machines.begin_create_or_update(
        GROUP, "vm2", machine(extra.id)))
    restricted = [s for s in compute.resource_skus.list(filter=f"location eq '{REGION}'") if s.restrictions]
    assert [s.name for s in restricted] == ["Standard_B4ms"]
    control("POST", "sizes", {"location": REGION, "size": "Standard_B4ms", "available": True})
    used = {u.name.value: u.current_value for u in compute.usage.list(REGION)}
    assert used["standardBSFamily"] == 4 and used["cores"] == 4, used

    # An operation that fails late, and a machine that never boots: both pollers raise.
    control("POST", "faults", {"method": "PUT", "path": "virtualMachines/vm2", "times": 1, "effect": {
        "fail_operation": {"code": "AllocationFailed", "message": "no room", "details": [["Inner", "zone 1 is full"]]}}})
    error = raises(HttpResponseError, "AllocationFailed", lambda: compute.virtual_machines.begin_create_or_update(
        GROUP, "vm2", machine(extra.id)))
    assert "zone 1 is full" in str(error), error
    assert compute.virtual_machines.get(GROUP, "vm2").provisioning_state == "Failed"
    compute.virtual_machines.begin_delete(GROUP, "vm2").result()
    raises(ResourceNotFoundError, "ResourceNotFound", lambda: network.network_interfaces.get(GROUP, "extra"))

    # The client tries again what is throttled.
    control("POST", "faults", {"method": "GET", "path": "virtualMachines/vm", "times": 2, "effect": {"throttle": {"retry_after": 0}}})
    control("POST", "faults", {"method": "GET", "path": "virtualMachines/vm", "times": 1, "effect": {"status": {"status": 503}}})
    assert compute.virtual_machines.get(GROUP, "vm").name == "vm"

    # Disks.
    disk = compute.disks.begin_create_or_update(GROUP, "data", {"location": REGION, "sku": {"name": "Premium_LRS"}, "zones": ["1"],
        "properties": {"diskSizeGB": 32, "creationData": {"createOption": "Empty"}}}).result()
    assert disk.disk_state == "Unattached"
    attached = compute.virtual_machines.get(GROUP, "vm")
    attached.storage_profile.data_disks = [{"lun": 0, "createOption": "Attach", "managedDisk": {"id": disk.id}}]
    attached = compute.virtual_machines.begin_create_or_update(GROUP, "vm", attached).result()
    assert attached.storage_profile.data_disks[0].name == "data"
    assert compute.disks.get(GROUP, "data").disk_state == "Attached"
    raises(HttpResponseError, "OperationNotAllowed", lambda: compute.disks.begin_delete(GROUP, "data"))

    # Pages: the emulator gives two objects each.
    for number in range(5):
        network.public_ip_addresses.begin_create_or_update(GROUP, f"many{number}", {
            "location": REGION, "sku": {"name": "Standard"}, "properties": {"publicIPAllocationMethod": "Static"}}).result()
    assert len(list(network.public_ip_addresses.list(GROUP))) == 6
    assert len(list(network.public_ip_addresses.list_all())) == 6
    assert [v.name for v in compute.virtual_machines.list(GROUP)] == ["vm"]
    assert [v.name for v in compute.virtual_machines.list_all()] == ["vm"]
    assert len(list(resources.resources.list_by_resource_group(GROUP))) > 8

    # A uniform set.
    def uniform(capacity):
        return {"location": REGION, "sku": {"name": "Standard_B2s", "capacity": capacity}, "zones": ["1", "2"], "properties": {
            "orchestrationMode": "Uniform", "upgradePolicy": {"mode": "Manual"}, "overprovision": False,
            "virtualMachineProfile": {
                "storageProfile": {"imageReference": IMAGE, "osDisk": {"createOption": "FromImage"}},
                "osProfile": {**{k: v for k, v in os_profile("x").items() if k != "computerName"}, "computerNamePrefix": "agent"},
                "networkProfile": {"networkInterfaceConfigurations": [{"name": "nic", "properties": {
                    "primary": True, "ipConfigurations": [{"name": "a", "properties": {"subnet": {"id": subnet.id}}}]}}]}}}}
    vmss = compute.virtual_machine_scale_sets.begin_create_or_update(GROUP, "uniform", uniform(3)).result()
    assert vmss.sku.capacity == 3 and vmss.orchestration_mode == "Uniform"
    ids = [i.instance_id for i in compute.virtual_machine_scale_set_vms.list(GROUP, "uniform")]
    assert ids == ["0", "1", "2"], ids
    compute.virtual_machine_scale_sets.begin_update(GROUP, "uniform", {"sku": {"name": "Standard_B2s", "capacity": 4}}).result()
    instance = compute.virtual_machine_scale_set_vms.get(GROUP, "uniform", "3")
    instance.protection_policy = {"protectFromScaleIn": True}
    protected = compute.virtual_machine_scale_set_vms.begin_update(GROUP, "uniform", "3", instance).result()
    assert protected.protection_policy.protect_from_scale_in
    compute.virtual_machine_scale_sets.begin_delete_instances(GROUP, "uniform", {"instanceIds": ["0"]}).result()
    assert compute.virtual_machine_scale_sets.get(GROUP, "uniform").sku.capacity == 3
    compute.virtual_machine_scale_sets.begin_update(GROUP, "uniform", {"sku": {"name": "Standard_B2s", "capacity": 2}}).result()
    deadline = time.time() + 20
    while (ids := [i.instance_id for i in compute.virtual_machine_scale_set_vms.list(GROUP, "uniform")]) != ["1", "3"]:
        assert time.time() < deadline, ids
        time.sleep(0.05)
    view = compute.virtual_machine_scale_sets.get_instance_view(GROUP, "uniform")
    assert {s.code: s.count for s in view.virtual_machine.statuses_summary}["PowerState/running"] == 2
    view = compute.virtual_machine_scale_set_vms.get_instance_view(GROUP, "uniform", "1")
    assert view.statuses[-1].code == "PowerState/running"

    # A flexible set as the frame of a pool, and a member that is named.
    flexible = compute.virtual_machine_scale_sets.begin_create_or_update(GROUP, "pool", {
        "location": REGION, "zones": ["1", "2", "3"],
        "properties": {"orchestrationMode": "Flexible", "platformFaultDomainCount": 1}}).result()
    extra = network.network_interfaces.begin_create_or_update(GROUP, "extra", {"location": REGION, "properties": {
        "ipConfigurations": [{"name": "a", "properties": {"subnet": {"id": subnet.id}}}]}}).result()
    member = machine(extra.id, zones=["2"], properties={
        "virtualMachineScaleSet": {"id": flexible.id}, "priority": "Spot", "evictionPolicy": "Delete",
        "billingProfile": {"maxPrice": -1}})
    spot = compute.virtual_machines.begin_create_or_update(GROUP, "pool-1", member).result()
    assert spot.virtual_machine_scale_set.id.lower() == flexible.id.lower() and spot.priority == "Spot"
    assert [m.name for m in compute.virtual_machine_scale_set_vms.list(GROUP, "pool")] == ["pool-1"]

    # Metrics.
    control("POST", "metrics", {"id": vmss.id, "metric": "Percentage CPU", "value": 71.5})
    now = datetime.datetime.now(datetime.timezone.utc)
    span = f"{(now - datetime.timedelta(minutes=5)).strftime('%Y-%m-%dT%H:%M:%SZ')}/{(now + datetime.timedelta(minutes=1)).strftime('%Y-%m-%dT%H:%M:%SZ')}"
    metrics = monitor.metrics.list(vmss.id, timespan=span, interval="PT1M", metricnames="Percentage CPU", aggregation="Average")
    points = [p.average for p in metrics.value[0].timeseries[0].data if p.average is not None]
    assert points and points[-1] == 71.5, points
    assert any(d.name.value == "Percentage CPU" for d in monitor.metric_definitions.list(vmss.id))

    # The identity of a machine.
    os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = os.environ["EMULATOR_PLAIN_URL"]
    assert ManagedIdentityCredential().get_token(URL + "/.default").token.count(".") == 2

    # All is deleted: the members, their disks and interfaces; then the group, with what is left.
    compute.virtual_machines.begin_delete(GROUP, "pool-1").result()
    raises(ResourceNotFoundError, "ResourceNotFound", lambda: network.network_interfaces.get(GROUP, "extra"))
    compute.virtual_machine_scale_sets.begin_delete(GROUP, "pool").result()
    compute.virtual_machine_scale_sets.begin_delete(GROUP, "uniform").result()
    compute.virtual_machines.begin_delete(GROUP, "vm").result()
    compute.disks.begin_delete(GROUP, "data").result()
    network.load_balancers.begin_delete(GROUP, "lb").result()
    resources.resource_groups.begin_delete(GROUP).result()
    assert not resources.resource_groups.check_existence(GROUP)
    assert control("GET", "objects") == []
    print(f"{len(control('GET', 'log'))} requests")


if __name__ == "__main__":
    main()
