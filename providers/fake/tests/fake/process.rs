//! The cloud as a process of its own: what a client sees of it, and how a test rules over it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_api::{
    Attributes, Context, Kind, Observed, Provider, ProviderError, ProviderType, Step, Token, Value,
};
use simfleet_provider_fake::FakeType;
use simfleet_provider_fake::calls::Call;
use simfleet_provider_fake::cloud::Heard;
use simfleet_provider_fake::faults::{Fault, Faults, Pattern, Rule, When};
use simfleet_provider_fake::gateway::{Hold, HoldState, Moment};

use crate::cloud_process::CloudProcess;

const NODE: Kind = Kind::new("node");

async fn provider(cloud: &CloudProcess) -> Arc<dyn Provider> {
    let settings = [("endpoint", cloud.endpoint.as_str())].into_iter().collect();
    let context = Context {
        lineage: "l".into(),
        folder: PathBuf::new(),
        root: PathBuf::new(),
        program: PathBuf::new(),
    };
    FakeType::new()
        .configure(&settings, &context)
        .await
        .expect("the endpoint is valid")
}

/// Makes a node; its name is its token.
async fn create(provider: &Arc<dyn Provider>, name: &str) -> Result<Step, ProviderError> {
    let planned: Attributes = [("name", Value::from(name))].into_iter().collect();
    provider.create(&NODE, &Token(name.into()), &planned).await
}

async fn strike(cloud: &CloudProcess, fault: Fault) {
    let to = Pattern {
        call: Some(Call::Create),
        ..Pattern::default()
    };
    let faults = Faults {
        rules: vec![Rule {
            fault,
            to,
            when: When::Nth(vec![1]),
        }],
        ..Faults::default()
    };
    assert_eq!(cloud.control.set_faults(&faults).await, Ok(faults));
}

#[tokio::test]
async fn it_ends_with_its_standard_input() {
    let cloud = CloudProcess::start().await;
    let provider = provider(&cloud).await;
    assert!(cloud.end().await.success());
    let read = provider
        .read(&NODE, &simfleet_provider_api::ObjectId("node-1".into()))
        .await;
    assert!(matches!(read, Ok(Observed::Unreachable { .. })), "{read:?}");
}

#[tokio::test]
async fn every_refusal_means_the_same_over_http() {
    let cloud = CloudProcess::start().await;
    let provider = provider(&cloud).await;
    let message = || "quota".to_owned();
    for (number, (fault, expected)) in [
        (Fault::LostReply, "ambiguous"),
        (Fault::LostRequest, "ambiguous"),
        (Fault::ServerError, "ambiguous"),
        (Fault::Throttled { retry_after_ms: 70 }, "throttled, again in 70ms"),
        (Fault::Unreachable { reason: message() }, "not sent"),
        (Fault::Denied, "denied"),
        (
            Fault::Rejected {
                message: message(),
                attribute: Some("size".to_owned()),
            },
            "rejected for size",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        strike(&cloud, fault.clone()).await;
        let name = format!("n{number}");
        let error = create(&provider, &name).await.expect_err(expected);
        let meaning = match &error {
            ProviderError::Ambiguous { .. } => "ambiguous".to_owned(),
            ProviderError::NotSent {
                retry_after: Some(after),
                ..
            } => format!("not sent, again in {after:?}"),
            ProviderError::Throttled { retry_after, .. } => format!("throttled, again in {retry_after:?}"),
            ProviderError::NotSent { .. } => "not sent".to_owned(),
            ProviderError::Denied { .. } => "denied".to_owned(),
            ProviderError::Rejected {
                attribute: Some(path), ..
            } => format!("rejected for {path}"),
            other => format!("{other:?}"),
        };
        assert_eq!(meaning, expected, "{fault:?}: {error}");
    }
}

#[tokio::test]
async fn a_create_that_hangs_is_found_by_its_token() {
    let cloud = CloudProcess::start().await;
    let provider = provider(&cloud).await;
    strike(&cloud, Fault::Hang).await;
    let hanging = create(&provider, "a");
    // Ample for an answer on loopback, which does not come.
    assert!(tokio::time::timeout(Duration::from_millis(300), hanging).await.is_err());
    assert!(matches!(create(&provider, "a").await, Ok(Step::Done(_))));
    assert_eq!(cloud.control.objects().await.expect("it answers").len(), 1);
}

#[tokio::test]
async fn a_call_that_is_held_is_carried_out_when_it_is_released_though_nobody_waits() {
    let cloud = CloudProcess::start().await;
    let provider = provider(&cloud).await;
    let to = Pattern {
        call: Some(Call::Create),
        ..Pattern::default()
    };
    let hold = cloud
        .control
        .hold(&Hold {
            to,
            nth: 2,
            at: Moment::Before,
        })
        .await
        .expect("it answers");

    assert!(matches!(create(&provider, "a").await, Ok(Step::Done(_))));
    let late = tokio::spawn({
        let provider = provider.clone();
        async move { create(&provider, "b").await }
    });
    assert_eq!(cloud.control.held(hold).await, Ok(Some(HoldState::Holding)));
    assert_eq!(
        cloud.control.objects().await.expect("it answers").len(),
        1,
        "it has not been carried out"
    );
    late.abort();

    // Whoever takes over asks with the same token; the call that was held comes late and makes nothing new.
    let taken_over = create(&provider, "b").await;
    assert!(matches!(taken_over, Ok(Step::Done(_))), "{taken_over:?}");
    assert_eq!(cloud.control.release(hold).await, Ok(true));
    let log = loop {
        let log = cloud.control.log().await.expect("it answers");
        if log.len() == 3 {
            break log;
        }
        tokio::task::yield_now().await;
    };
    assert!(log[2].effects.is_empty(), "{log:?}");
    assert_eq!(cloud.control.objects().await.expect("it answers").len(), 2);
}

#[tokio::test]
async fn a_call_that_is_held_after_it_was_carried_out_has_its_effect() {
    let cloud = CloudProcess::start().await;
    let provider = provider(&cloud).await;
    let hold = Hold {
        to: Pattern::default(),
        nth: 1,
        at: Moment::After,
    };
    let hold = cloud.control.hold(&hold).await.expect("it answers");
    let (created, ()) = tokio::join!(create(&provider, "a"), async {
        assert_eq!(cloud.control.held(hold).await, Ok(Some(HoldState::Holding)));
        assert_eq!(cloud.control.objects().await.expect("it answers").len(), 1);
        assert_eq!(cloud.control.release(hold).await, Ok(true));
    });
    assert!(matches!(created, Ok(Step::Done(_))), "{created:?}");
    assert_eq!(cloud.control.log().await.expect("it answers")[0].heard, Heard::Answer);
    assert_eq!(
        cloud.control.release(simfleet_provider_fake::gateway::HoldId(7)).await,
        Ok(false)
    );
}

#[tokio::test]
async fn what_others_do_is_in_the_log_and_in_the_objects() {
    let cloud = CloudProcess::start().await;
    let provider = provider(&cloud).await;
    let Ok(Step::Done(made)) = create(&provider, "a").await else {
        panic!("it is made")
    };
    let change = serde_json::json!({ "size": "large" })
        .as_object()
        .cloned()
        .expect("it is an object");
    assert_eq!(cloud.control.change(&made.id.0, &change).await, Ok(true));
    let Ok(Observed::Present(seen)) = provider.read(&NODE, &made.id).await else {
        panic!("it is there")
    };
    assert_eq!(seen.attributes.str("size"), Some("large"));
    assert_eq!(cloud.control.destroy(&made.id.0).await, Ok(true));
    assert_eq!(cloud.control.destroy(&made.id.0).await, Ok(false));
    assert_eq!(provider.read(&NODE, &made.id).await, Ok(Observed::Absent));
    assert_eq!(cloud.control.pending().await, Ok(Vec::new()));
    assert_eq!(cloud.control.log().await.expect("it answers").len(), 5);
}

#[tokio::test]
async fn an_endpoint_that_is_none_is_refused_with_its_form() {
    for endpoint in [
        "",
        "127.0.0.1:80",
        "https://127.0.0.1:80",
        "http://127.0.0.1",
        "http://",
    ] {
        let settings = [("endpoint", endpoint)].into_iter().collect();
        let context = Context {
            lineage: "l".into(),
            folder: PathBuf::new(),
            root: PathBuf::new(),
            program: PathBuf::new(),
        };
        let refused = FakeType::new().configure(&settings, &context).await;
        match refused {
            Err(ProviderError::Rejected { message, .. }) => {
                assert!(message.contains("http://127.0.0.1:PORT"), "{message}");
            }
            other => panic!("{endpoint}: {other:?}"),
        }
    }
}
