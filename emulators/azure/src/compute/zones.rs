//! Availability zones.

use serde_json::{Map, Value};

use crate::message::{ArmError, Result};
use crate::world::Asked;

/// Checks the zones of a body: those of the region are 1, 2 and 3.
pub(crate) fn check(asked: &Asked, body: &Map<String, Value>) -> Result<()> {
    let zones = match body.get("zones") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(zones)) => zones,
        Some(_) => {
            return Err(ArmError::bad(
                "InvalidRequestContent",
                "The member 'zones' is not a list.",
            ));
        }
    };
    if zones.is_empty() {
        return Ok(());
    }
    let region = &asked.place.location;
    if !crate::catalogue::has_zones(region) {
        return Err(ArmError::bad(
            "LocationNotSupportAvailabilityZones",
            format!(
                "The resource '{}' does not support availability zones at location '{region}'.",
                asked.id
            ),
        ));
    }
    let wrong: Vec<&str> = zones
        .iter()
        .map(|zone| zone.as_str().unwrap_or("?"))
        .filter(|zone| !["1", "2", "3"].contains(zone))
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(ArmError::bad(
        "InvalidAvailabilityZone",
        format!(
            "The zone(s) '{}' for resource '{}/{}' is not supported. The supported zones for location '{region}' are '1,2,3'",
            wrong.join(","),
            asked.kind.name(),
            asked.name
        ),
    ))
}
