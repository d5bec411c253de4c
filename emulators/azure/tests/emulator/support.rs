//! A small client of ARM: it shows answers as they are, and follows operations as ARM says.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use simfleet_azure_emulator::{CLIENT, CLIENT_SECRET, Control, Emulator, Options, SUBSCRIPTION, TENANT};

/// An emulator, and who asks it.
pub struct Arm {
    pub emulator: Emulator,
    pub control: Control,
    client: Client,
    token: String,
}

/// An answer.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("a text"))
    }

    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or("")
    }

    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    #[track_caller]
    pub fn fails(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.body);
        assert!(!self.body["error"]["message"].as_str().expect("a message").is_empty());
        self
    }
}

pub const VERSION: &str = "2024-07-01";

impl Arm {
    pub async fn start(options: Options) -> Arm {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let emulator = Emulator::start(options).await.expect("it starts");
        let client = Client::builder().pool_max_idle_per_host(0).build().expect("a client");
        let form = format!(
            "grant_type=client_credentials&client_id={CLIENT}&client_secret={CLIENT_SECRET}&scope=https%3A%2F%2Fmanagement.azure.com%2F.default"
        );
        let url = format!("{}/{TENANT}/oauth2/v2.0/token", emulator.url);
        let request = client
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        let token = answer["access_token"].as_str().expect("a token").to_owned();
        Arm {
            control: emulator.control(),
            emulator,
            client,
            token,
        }
    }

    /// Sends a request; none where the connection ended without an answer.
    pub async fn try_send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Option<Got> {
        let url = if url.starts_with("http") {
            url.to_owned()
        } else {
            format!("{}{url}", self.emulator.url)
        };
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.ok()?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.ok()?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).expect("JSON")
        };
        Some(Got { status, headers, body })
    }

    pub async fn send(&self, method: Method, url: &str, body: Option<&Value>) -> Got {
        self.try_send(method, url, &[], body).await.expect("an answer")
    }

    pub async fn get(&self, path: &str) -> Got {
        self.send(Method::GET, &versioned(path), None).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Got {
        self.send(Method::PUT, &versioned(path), Some(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Got {
        self.send(Method::PATCH, &versioned(path), Some(&body)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Got {
        self.send(Method::POST, &versioned(path), Some(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Got {
        self.send(Method::DELETE, &versioned(path), None).await
    }

    /// Follows the operation that an answer began, to its end.
    pub async fn end(&self, got: &Got) -> Value {
        let url = got.header("azure-asyncoperation").to_owned();
        assert!(!url.is_empty(), "no operation: {} {}", got.status, got.body);
        for _ in 0..1_000 {
            let status = self.send(Method::GET, &url, None).await.is(200).body;
            if status["status"] != "InProgress" {
                return status;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("the operation does not end: {url}");
    }

    /// Puts something and waits for it.
    #[track_caller]
    pub fn made<'a>(&'a self, path: &'a str, body: Value) -> impl Future<Output = Value> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let got = self.put(path, body).await;
            assert!([200, 201, 202].contains(&got.status), "{caller}: {}", got.body);
            let ended = self.end(&got).await;
            assert_eq!(ended["status"], "Succeeded", "{caller}: {ended}");
            self.get(path).await.is(200).body
        }
    }

    /// Makes a resource group and a network with a subnet, with nothing else.
    pub async fn with_network(options: Options) -> Arm {
        let arm = Arm::start(options).await;
        arm.put(&group(), json!({"location": "eastus"})).await.is(201);
        let body = json!({"location": "eastus", "properties": {
            "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
            "subnets": [{"name": "agents", "properties": {"addressPrefix": "10.0.1.0/24"}}],
        }});
        arm.made(&network("virtualNetworks/net"), body).await;
        arm
    }

    /// Makes an interface in that subnet.
    pub async fn interface(&self, name: &str) -> String {
        let path = network(&format!("networkInterfaces/{name}"));
        self.made(&path, interface_body()).await["id"]
            .as_str()
            .expect("an id")
            .to_owned()
    }

    /// Makes a machine with an interface of its own.
    pub async fn machine(&self, name: &str) -> Value {
        let interface = self.interface(&format!("{name}-nic")).await;
        self.made(&machine(name), machine_body(&interface)).await
    }
}

pub fn versioned(path: &str) -> String {
    let sign = if path.contains('?') { '&' } else { '?' };
    format!("{path}{sign}api-version={VERSION}")
}

pub fn group() -> String {
    format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/sim")
}

pub fn network(rest: &str) -> String {
    format!("{}/providers/Microsoft.Network/{rest}", group())
}

pub fn compute(rest: &str) -> String {
    format!("{}/providers/Microsoft.Compute/{rest}", group())
}

pub fn machine(name: &str) -> String {
    compute(&format!("virtualMachines/{name}"))
}

pub fn subnet() -> String {
    network("virtualNetworks/net/subnets/agents")
}

pub fn interface_body() -> Value {
    json!({"location": "eastus", "properties": {"ipConfigurations": [
        {"name": "primary", "properties": {"subnet": {"id": subnet()}}},
    ]}})
}

pub fn machine_body(interface: &str) -> Value {
    json!({"location": "eastus", "tags": {"project": "px4"}, "properties": {
        "hardwareProfile": {"vmSize": "Standard_B4ms"},
        "storageProfile": {
            "imageReference": {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"},
            "osDisk": {"createOption": "FromImage", "diskSizeGB": 64, "deleteOption": "Delete",
                "managedDisk": {"storageAccountType": "Premium_LRS"}},
        },
        "osProfile": {"computerName": "agent", "adminUsername": "azureuser", "customData": "I2Nsb3VkLWNvbmZpZwo=",
            "linuxConfiguration": {"disablePasswordAuthentication": true, "ssh": {"publicKeys": [key()]}}},
        "networkProfile": {"networkInterfaces": [{"id": interface, "properties": {"primary": true, "deleteOption": "Delete"}}]},
    }})
}

pub fn key() -> Value {
    json!({"path": "/home/azureuser/.ssh/authorized_keys",
        "keyData": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl test"})
}

impl Arm {
    /// Returns the status of an operation right now.
    pub async fn end_once(&self, url: &str) -> String {
        let status = self.send(Method::GET, url, None).await.is(200).body;
        status["status"].as_str().expect("a status").to_owned()
    }
}
