//! The quickstart, from its file to typed blocks.

use std::time::Duration;

use simfleet_provider_api::{Address, Data, Key, Value};

use super::super::blocks::{Block, Kind, Placement, PortSource, Protocol, Simulator};
use super::super::{Config, Instance, Instances, Names, NoResources, Resources};
use super::super::{Inputs, Setting};
use super::inputs;

fn quickstart(vars: &[(&str, &str)]) -> Config {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart.hcl");
    let settings = vars
        .iter()
        .map(|(name, text)| Setting::Text((*name).to_owned(), (*text).to_owned()))
        .collect();
    let inputs = Inputs { settings, ..inputs() };
    let (config, warnings) = super::super::load(&path, &inputs).expect("the quickstart is valid");
    assert_eq!(warnings.0, []);
    config
}

fn simulator(config: &Config, index: u64) -> Simulator {
    let names = Names::new(config, &NoResources);
    let quad = config.declaration("simulator", &["vehicle", "quad"]).expect("declared");
    let record = quad
        .evaluate(&names.scope(Instance::index(index)))
        .expect("it evaluates");
    match quad.decode(&record) {
        Ok(Block::Simulator(simulator)) => *simulator,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_it_declares_is_in_order_with_its_needs() {
    let config = quickstart(&[]);
    let addresses: Vec<_> = config
        .declarations
        .iter()
        .map(|declaration| declaration.address.to_string())
        .collect();
    assert_eq!(addresses, ["pool.field", "simulator.vehicle.quad"]);
    let quad = &config.declarations[1];
    let needs = config.needs(quad, &quad.references());
    let needs: Vec<_> = needs
        .iter()
        .map(|need| format!("{} at {:?}", need.declaration.address, need.span))
        .collect();
    assert_eq!(needs.len(), 1);
    assert!(
        needs[0].starts_with("pool.field at ") && needs[0].ends_with("quickstart.hcl:47:15"),
        "{needs:?}"
    );
    let output = config.dependencies(&[], &config.outputs["vehicles"].references());
    assert_eq!(output[0].declaration.address.to_string(), "simulator.vehicle.quad");
    assert_eq!(
        config.provider("local", None).map(|provider| &*provider.name),
        Some("local")
    );
    assert_eq!(quad.meta.provider.as_ref().map(|provider| &*provider.name), None);
}

#[test]
fn the_pool_has_its_bounds_and_defaults() {
    let config = quickstart(&[]);
    let names = Names::new(&config, &NoResources);
    let field = config.declaration("pool", &["field"]).expect("declared");
    let record = field.evaluate(&names.scope(Instance::default())).expect("it evaluates");
    let Ok(Block::Pool(pool)) = field.decode(&record) else {
        panic!("a pool");
    };
    assert_eq!((pool.autoscale.min, pool.autoscale.max), (2, 4));
    assert_eq!(pool.autoscale.evaluation_interval, Duration::from_secs(15));
    assert_eq!(pool.autoscale.checks.len(), 2);
    assert_eq!(pool.node.max_simulators, Some(4));
    let range = &pool.node.port_ranges["mavlink"];
    assert_eq!((range.protocol, range.from, range.to), (Protocol::Udp, 14560, 14570));
    assert_eq!(pool.drain.timeout, Duration::from_secs(30));
}

#[test]
fn each_vehicle_is_an_instance_with_its_number() {
    let config = quickstart(&[("vehicles", "10")]);
    let names = Names::new(&config, &NoResources);
    let quad = config.declaration("simulator", &["vehicle", "quad"]).expect("declared");
    let instances = quad.instances(&names.scope(Instance::default()));
    assert_eq!(instances, Ok(Instances::Count(10)));
    let simulator = simulator(&config, 7);
    assert_eq!(simulator.instance, Some(7));
    assert_eq!(
        simulator.placement,
        Placement::On("pool.field".parse().expect("an address"))
    );
    assert_eq!(simulator.ports["gcs"].source, PortSource::Range("mavlink".into()));
    let check = simulator.workload.health_check.expect("declared");
    assert_eq!(
        (check.interval, check.timeout, check.unhealthy_threshold),
        (Duration::from_secs(1), Duration::from_secs(1), 3)
    );
    let Kind::Vehicle(vehicle) = simulator.kind else {
        panic!("a vehicle");
    };
    let home = vehicle.home.expect("declared");
    assert_eq!(home.altitude_m, Value::from(488u64));
}

#[test]
fn the_output_reads_the_values_of_the_planner() {
    struct Planned;
    impl Resources for Planned {
        fn value(&self, block: &Address) -> Option<Value> {
            let quad = |i: u64| {
                let node = Value::object([("address", Value::string(format!("127.0.0.{i}")))]);
                let port = if i == 2 {
                    Value::unknown("port")
                } else {
                    Value::from(14560 + i)
                };
                let ports = Value::object([("gcs", port)]);
                let name = Value::string(format!("quad-{i}"));
                let address = block.with_key(Key::Index(i));
                Value::object([("name", name), ("node", node), ("ports", ports)]).with_origin(address)
            };
            Some(Value::tuple((0..3).map(quad)))
        }
    }
    let config = quickstart(&[]);
    let names = Names::new(&config, &Planned);
    let value = super::super::eval::evaluate(&config.outputs["vehicles"].expr, &names.scope(Instance::default()));
    let value = value.expect("it evaluates");
    assert_eq!(
        value.get("quad-0").and_then(Value::as_str),
        Some("udp://127.0.0.0:14560")
    );
    assert!(matches!(value.get("quad-2").map(Value::data), Some(Data::Unknown(_))));
}

#[test]
fn it_loads_again_from_its_sources_without_a_file() {
    let config = quickstart(&[("vehicles", "10")]);
    let (again, _) = super::super::load_sources(&config.sources(), &super::inputs()).expect("valid");
    assert_eq!(again.variables["vehicles"].value, Value::from(10u64));
    assert_eq!(again.sources(), config.sources());
}
