use reqwest::Client;
use serde_json::{Value, json};
use simfleet_azure_emulator::{CLIENT, CLIENT_SECRET, Options, SUBSCRIPTION, TENANT, Tls};

use crate::support::*;

async fn form(arm: &Arm, tenant: &str, fields: &[(&str, &str)]) -> (u16, Value) {
    let body: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", value.replace(':', "%3A").replace('/', "%2F")))
        .collect();
    let request = Client::new().post(format!("{}/{tenant}/oauth2/v2.0/token", arm.emulator.url));
    let request = request
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.join("&"));
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

const SCOPE: (&str, &str) = ("scope", "https://management.azure.com/.default");

#[tokio::test]
async fn tokens_are_for_who_has_the_secret() {
    let arm = Arm::start(Options::default()).await;
    let grant = ("grant_type", "client_credentials");
    let good = [grant, ("client_id", CLIENT), ("client_secret", CLIENT_SECRET), SCOPE];
    let (status, token) = form(&arm, TENANT, &good).await;
    assert_eq!(
        (status, &token["token_type"], &token["expires_in"]),
        (200, &json!("Bearer"), &json!(3_600))
    );
    let refused = [
        (
            TENANT,
            vec![grant, ("client_id", CLIENT), ("client_secret", "wrong"), SCOPE],
            401,
            "AADSTS7000215",
        ),
        (
            TENANT,
            vec![grant, ("client_id", "nobody"), ("client_secret", CLIENT_SECRET), SCOPE],
            400,
            "AADSTS700016",
        ),
        (
            TENANT,
            vec![grant, ("client_id", CLIENT), ("client_secret", CLIENT_SECRET)],
            400,
            "AADSTS900144",
        ),
        ("elsewhere", good.to_vec(), 400, "AADSTS90002"),
        (
            TENANT,
            vec![("grant_type", "password"), ("client_id", CLIENT)],
            400,
            "AADSTS70003",
        ),
        (
            TENANT,
            vec![grant, ("client_id", CLIENT), ("client_assertion", "a.b"), SCOPE],
            401,
            "AADSTS700027",
        ),
    ];
    for (tenant, fields, expected, code) in refused {
        let (status, answer) = form(&arm, tenant, &fields).await;
        let description = answer["error_description"].as_str().expect("a description");
        assert_eq!(status, expected, "{answer}");
        assert!(description.starts_with(code), "{description}");
    }
    // A workload's own token: {"iss":"https://issuer","sub":"system:serviceaccount"}.
    let assertion = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lzc3VlciIsInN1YiI6InN5c3RlbSJ9.c2ln";
    let (status, _) = form(
        &arm,
        TENANT,
        &[grant, ("client_id", CLIENT), ("client_assertion", assertion), SCOPE],
    )
    .await;
    assert_eq!(status, 200);
    // Nothing of it is in the log.
    assert!(!format!("{:?}", arm.control.log()).contains(CLIENT_SECRET));
}

#[tokio::test]
async fn without_a_good_token_nothing_is_done() {
    let arm = Arm::start(Options::default()).await;
    let url = format!(
        "{}/subscriptions/{SUBSCRIPTION}/resourceGroups?api-version=2024-07-01",
        arm.emulator.url
    );
    let without = Client::new().get(&url).send().await.expect("an answer");
    assert_eq!(without.status().as_u16(), 401);
    let challenge = without.headers()["www-authenticate"]
        .to_str()
        .expect("a text")
        .to_owned();
    assert!(
        challenge.starts_with("Bearer authorization_uri=") && challenge.contains(TENANT),
        "{challenge}"
    );
    let wrong: Value = Client::new()
        .get(&url)
        .bearer_auth("wrong")
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(wrong["error"]["code"], "InvalidAuthenticationToken");
    arm.get(&format!("/subscriptions/{SUBSCRIPTION}")).await.is(200);
    arm.control.revoke_tokens();
    arm.get(&format!("/subscriptions/{SUBSCRIPTION}"))
        .await
        .fails(401, "InvalidAuthenticationToken");
}

#[tokio::test]
async fn a_machine_asks_for_the_token_of_its_identity() {
    let arm = Arm::start(Options::default()).await;
    let url = format!(
        "{}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/",
        arm.emulator.url
    );
    let without = Client::new().get(&url).send().await.expect("an answer");
    assert_eq!(without.status().as_u16(), 400);
    let token: Value = Client::new()
        .get(&url)
        .header("metadata", "true")
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(
        (&token["token_type"], &token["expires_in"]),
        (&json!("Bearer"), &json!("3600"))
    );
    let groups = format!(
        "{}/subscriptions/{SUBSCRIPTION}/resourceGroups?api-version=2024-07-01",
        arm.emulator.url
    );
    let token = token["access_token"].as_str().expect("a token");
    assert_eq!(
        Client::new()
            .get(groups)
            .bearer_auth(token)
            .send()
            .await
            .expect("an answer")
            .status()
            .as_u16(),
        200
    );
}

#[tokio::test]
async fn endpoints_are_told_in_both_forms() {
    let arm = Arm::start(Options::default()).await;
    let get = |version: &str| {
        let url = format!("{}/metadata/endpoints?api-version={version}", arm.emulator.url);
        async move {
            Client::new()
                .get(url)
                .send()
                .await
                .expect("an answer")
                .json::<Value>()
                .await
                .expect("JSON")
        }
    };
    let base = format!("{}/", arm.emulator.url);
    assert_eq!(get("2019-05-01").await[0]["resourceManager"], json!(base));
    let one = get("2022-09-01").await;
    assert_eq!(
        (&one["resourceManager"], &one["authentication"]["loginEndpoint"]),
        (&json!(base), &json!(base))
    );
    let url = format!("{}/{TENANT}/v2.0/.well-known/openid-configuration", arm.emulator.url);
    let openid: Value = Client::new()
        .get(url)
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(
        openid["token_endpoint"],
        format!("{}/{TENANT}/oauth2/v2.0/token", arm.emulator.url)
    );
}

#[tokio::test]
async fn tls_is_spoken_with_the_certificate_that_was_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let ca_file = directory.path().join("ca.pem");
    let arm = Arm::start(Options {
        tls: Some(Tls::SelfMade {
            ca_file: ca_file.clone(),
        }),
        ..Options::default()
    })
    .await;
    let url = arm.emulator.tls_url.clone().expect("an address");
    let ca = reqwest::Certificate::from_pem(&std::fs::read(ca_file).expect("a file")).expect("a certificate");
    let client = Client::builder().tls_certs_only([ca]).build().expect("a client");
    let answer: Value = client
        .get(format!("{url}/metadata/endpoints?api-version=2022-09-01"))
        .send()
        .await
        .expect("TLS")
        .json()
        .await
        .expect("JSON");
    assert_eq!(answer["resourceManager"], format!("{url}/"));
    assert!(Client::new().get(url).send().await.is_err());
}
