//! What may have been made is never said not to be there.

use simfleet_azure_emulator::{Fault, FaultEffect};
use simfleet_provider_api::{Found, ProviderError, Step};
use simfleet_provider_azure::schema::{PUBLIC_IP, RESOURCE_GROUP, VM};

use crate::operations::{Run, token};
use crate::rig::Rig;
use crate::samples::attributes;

/// Whether an error says that nothing was made.
fn says_nothing_was_made(error: &ProviderError) -> bool {
    !matches!(error, ProviderError::Ambiguous { .. } | ProviderError::Broken { .. })
}

#[tokio::test]
async fn what_was_made_and_cannot_be_looked_at_is_never_said_not_to_be_there() {
    let rig = Rig::start().await;
    let run = Run::new(&rig).await;
    let group = attributes([("name", "lab".into()), ("location", "westeurope".into())]);
    let address = attributes([("name", "address".into())]);
    let mut is_met = false;
    let refusals = [403, 400].map(|status| FaultEffect::Status {
        status,
        code: None,
        message: None,
    });
    let refusals = refusals
        .into_iter()
        .chain([FaultEffect::Throttle { retry_after: Some(0) }]);
    let mut number = 10;
    for effect in refusals {
        for (kind, segment, wanted) in [
            (RESOURCE_GROUP, "/resourceGroups/lab", &group),
            (PUBLIC_IP, "/publicIPAddresses/", &address),
        ] {
            for nth in 1.. {
                let before = rig.control().ids();
                rig.control()
                    .fault(Fault::new(effect.clone()).on("GET", segment).nth(nth));
                number += 1;
                let made = run.make(&kind, number, wanted).await;
                rig.control().clear_faults();
                let is_there = rig.control().ids() != before;
                if let Err(error) = &made {
                    assert!(
                        !is_there || !says_nothing_was_made(error),
                        "{kind}, call {nth}: {error:?}"
                    );
                    is_met |= is_there;
                }
                let again = run.made(&kind, number, wanted).await;
                assert_eq!(run.delete(&kind, &again).await, Ok(Step::Gone));
                if made.is_ok() {
                    break;
                }
            }
        }
    }
    assert!(is_met, "none was made and not looked at");
}

#[tokio::test]
async fn what_a_failed_create_left_and_cannot_be_deleted_is_never_said_not_to_be_there() {
    let rig = Rig::start().await;
    let run = Run::new(&rig).await;
    let wanted = run.machine().await;
    let failing = FaultEffect::FailOperation {
        code: "AllocationFailed".to_owned(),
        message: Some("No room.".to_owned()),
        details: Vec::new(),
        inner: None,
    };
    let locked = FaultEffect::Status {
        status: 409,
        code: Some("ScopeLocked".to_owned()),
        message: None,
    };
    rig.control()
        .fault(Fault::new(failing).on("PUT", "/virtualMachines/").times(1));
    rig.control()
        .fault(Fault::new(locked).on("DELETE", "/virtualMachines/").times(1));
    let error = run.make(&VM, 4, &wanted).await.expect_err("it fails");
    assert!(!says_nothing_was_made(&error), "{error:?}");
    assert!(error.to_string().contains("ScopeLocked"), "{error}");
    // Asked again with the same token, it clears what was left, and says why it never was made.
    let found = run.provider.find(&VM, &token(4), &wanted).await;
    let Ok(Found::InProgress(handle)) = found else {
        panic!("{found:?}");
    };
    let step = run.provider.poll(&VM, &handle).await.expect("it can be deleted now");
    let again = run.settle(&VM, step).await.expect_err("it was not made");
    assert!(matches!(again, ProviderError::Rejected { .. }), "{again:?}");
    assert_eq!(run.provider.find(&VM, &token(4), &wanted).await, Ok(Found::Nothing));
}
