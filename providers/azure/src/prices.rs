//! What machines cost an hour.
//!
//! The table has what Microsoft lists for Linux, pay-as-you-go, in US dollars, without what a contract takes off. It is as of 2024, and
//! for the region East US: the sizes are those of which public copies of the list agree, as the list itself
//! (<https://prices.azure.com/api/retail/prices>, see
//! <https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices>) could not be asked. What it lacks has no
//! price, and `prices` in the provider block says others.

use simfleet_provider_api::{Attributes, Kind, Price, Value};

use crate::schema::{INSTANCE, VM};

/// The setting that has prices of the fleet's own.
pub(crate) const PRICES: &str = "prices";

const CURRENCY: &str = "USD";
const REGION: &str = "eastus";

/// The sizes, and what an hour costs in East US.
const LISTED: [(&str, f64); 17] = [
    ("Standard_B1s", 0.0104),
    ("Standard_B1ms", 0.0207),
    ("Standard_B2s", 0.0416),
    ("Standard_B2ms", 0.0832),
    ("Standard_B4ms", 0.166),
    ("Standard_B8ms", 0.333),
    ("Standard_D2s_v3", 0.096),
    ("Standard_D4s_v3", 0.192),
    ("Standard_D8s_v3", 0.384),
    ("Standard_D16s_v3", 0.768),
    ("Standard_D2s_v4", 0.096),
    ("Standard_D4s_v4", 0.192),
    ("Standard_D8s_v4", 0.384),
    ("Standard_D2s_v5", 0.096),
    ("Standard_D4s_v5", 0.192),
    ("Standard_D8s_v5", 0.384),
    ("Standard_F4s_v2", 0.169),
];

/// Returns what a machine costs; `None` of what is none. Disks and addresses are left out.
pub(crate) fn price(settings: &Attributes, kind: &Kind, machine: &Attributes) -> Option<Price> {
    if ![VM, INSTANCE].contains(kind) {
        return None;
    }
    let is_given = |name: &str| machine.get(name).is_some_and(|value| !value.is_null());
    let region = machine.str("location").or_else(|| settings.str("region"));
    let Some(size) = machine.str("size") else {
        return Some(unknown("a size that is known after apply only".to_owned()));
    };
    if is_given("spot") {
        return Some(unknown(format!("{size} as spot")));
    }
    let own = settings.get(PRICES).and_then(|prices| own(prices, size));
    let listed = LISTED.iter().find(|(listed, _)| listed.eq_ignore_ascii_case(size));
    let listed = listed.filter(|_| region == Some(REGION)).map(|(_, price)| *price);
    Some(match own.or(listed) {
        Some(hourly) => Price::Hourly {
            amount: hourly,
            currency: CURRENCY.into(),
        },
        None => unknown(format!("{size} in {}", region.unwrap_or("an unknown region"))),
    })
}

fn own(prices: &Value, size: &str) -> Option<f64> {
    let mut fields = prices.as_fields()?.iter();
    let (_, price) = fields.find(|(name, _)| name.eq_ignore_ascii_case(size))?;
    let price = price.as_number()?.as_f64();
    Some(price).filter(|price| price.is_finite() && *price >= 0.0)
}

fn unknown(of: String) -> Price {
    Price::Unknown { of }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use simfleet_provider_api::json::from_json;

    use super::*;

    #[test]
    fn a_size_has_the_price_of_the_fleet_else_that_of_the_list_else_none() {
        let settings = |region: &str| {
            let prices = from_json(&json!({ "Standard_B4ms": 0.5, "Standard_X": 2 })).expect("a value");
            Attributes::from_iter([("region", Value::from(region)), (PRICES, prices)])
        };
        let of = |settings: &Attributes, size: &str| {
            let machine = Attributes::from_iter([("size", size)]);
            match price(settings, &VM, &machine) {
                Some(Price::Hourly { amount, currency }) => format!("{amount} {currency}"),
                Some(Price::Unknown { of }) => format!("none of {of}"),
                None => "nothing".to_owned(),
            }
        };
        for (case, region, size, expected) in [
            ("listed", "eastus", "Standard_B2ms", "0.0832 USD"),
            ("in other letters", "eastus", "standard_b2ms", "0.0832 USD"),
            ("the fleet's own", "eastus", "Standard_B4ms", "0.5 USD"),
            ("the fleet's own elsewhere", "westeurope", "Standard_X", "2 USD"),
            (
                "elsewhere",
                "westeurope",
                "Standard_B2ms",
                "none of Standard_B2ms in westeurope",
            ),
            (
                "not listed",
                "eastus",
                "Standard_M128s",
                "none of Standard_M128s in eastus",
            ),
        ] {
            assert_eq!(of(&settings(region), size), expected, "{case}");
        }
        let spot = Attributes::from_iter([
            ("size", Value::from("Standard_B2s")),
            ("spot", from_json(&json!({ "max_price": 1 })).expect("a value")),
        ]);
        let expected = Price::Unknown {
            of: "Standard_B2s as spot".to_owned(),
        };
        assert_eq!(price(&settings("eastus"), &VM, &spot), Some(expected));
        assert_eq!(price(&settings("eastus"), &crate::schema::NIC, &spot), None);
    }
}
