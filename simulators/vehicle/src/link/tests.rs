use std::pin::Pin;

use mavlink::dialects::common::*;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;
use crate::frame::{Frame, Payload};
use crate::options::Home;

/// A small generator of reproducible noise: xorshift64* (Vigna, "An
/// experimental exploration of Marsaglia's xorshift generators", 2016).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 56) as u8
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()])) % end
    }
}

const SYSTEM: u8 = 42;

fn link() -> Link {
    Link {
        protocol: Protocol::new(SYSTEM, Home::default(), Duration::ZERO),
        peers: Peers::default(),
    }
}

fn peer(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn framed<M: mavlink::MessageData>(message: &M) -> Vec<u8> {
    let mut datagram = Vec::new();
    Payload::of(message).write_frame(255, 190, 0, &mut datagram);
    datagram
}

fn heartbeat() -> Vec<u8> {
    framed(&HEARTBEAT_DATA {
        mavtype: MavType::MAV_TYPE_GCS,
        autopilot: MavAutopilot::MAV_AUTOPILOT_INVALID,
        ..HEARTBEAT_DATA::DEFAULT
    })
}

fn arm() -> Vec<u8> {
    framed(&COMMAND_LONG_DATA {
        param1: 1.0,
        command: MavCmd::MAV_CMD_COMPONENT_ARM_DISARM,
        target_system: SYSTEM,
        target_component: 1,
        ..COMMAND_LONG_DATA::DEFAULT
    })
}

/// Message ids of everything queued for a port.
fn sent(link: &mut Link, port: u16) -> Vec<u32> {
    let datagrams = link.take_datagrams().into_iter();
    datagrams
        .filter(|(to, _)| *to == peer(port))
        .flat_map(|(_, datagram)| {
            let frames = Frames::of(&datagram);
            frames.map(|frame| frame.message_id).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn a_new_peer_gets_one_heartbeat_at_once_and_then_telemetry() {
    let mut link = link();
    let start = Duration::from_secs(1);
    link.receive(&heartbeat(), peer(1), start);
    link.tick(start);
    assert_eq!(sent(&mut link, 1), [HEARTBEAT_DATA::ID]);
    link.receive(&heartbeat(), peer(1), start);
    assert!(sent(&mut link, 1).is_empty(), "not new any more");
    link.tick(start + Duration::from_millis(100));
    let first = sent(&mut link, 1);
    for id in [ATTITUDE_DATA::ID, GLOBAL_POSITION_INT_DATA::ID, SYS_STATUS_DATA::ID] {
        assert!(first.contains(&id));
    }
}

#[test]
fn alone_and_at_rest_there_is_nothing_to_wake_for() {
    let mut link = link();
    assert_eq!(link.next_due(), None);
    link.receive(&heartbeat(), peer(1), Duration::ZERO);
    assert!(link.next_due().is_some());
    let _ = link.take_datagrams();
    link.tick(Duration::from_secs(11));
    assert_eq!(link.next_due(), None, "the peer is forgotten");
    assert!(link.take_datagrams().is_empty());
}

#[test]
fn events_reach_everyone_and_replies_only_the_sender() {
    let mut link = link();
    link.receive(&heartbeat(), peer(1), Duration::ZERO);
    link.receive(&heartbeat(), peer(2), Duration::ZERO);
    let _ = link.take_datagrams();
    link.receive(&arm(), peer(1), Duration::ZERO);
    link.tick(Duration::ZERO);
    let datagrams = link.take_datagrams();
    let ids = |port: u16| -> Vec<u32> {
        let mine = datagrams.iter().filter(|(to, _)| *to == peer(port));
        mine.flat_map(|(_, datagram)| Frames::of(datagram).map(|frame| frame.message_id))
            .collect()
    };
    assert_eq!(ids(1), [COMMAND_ACK_DATA::ID, STATUSTEXT_DATA::ID]);
    assert_eq!(ids(2), [STATUSTEXT_DATA::ID]);
}

#[test]
fn an_echo_of_its_own_is_not_answered() {
    let mut link = link();
    let mut datagram = Vec::new();
    Payload::of(&HEARTBEAT_DATA::DEFAULT).write_frame(SYSTEM, 1, 0, &mut datagram);
    link.receive(&datagram, peer(1), Duration::ZERO);
    assert!(link.take_datagrams().is_empty());
    assert_eq!(link.next_due(), None);
}

#[test]
fn noise_makes_no_peer_and_is_counted() {
    let mut link = link();
    let mut random = Random::new(7);
    for round in 0..20_000 {
        let mut datagram: Vec<u8> = (0..random.below(400)).map(|_| random.byte()).collect();
        if round % 2 == 0 {
            // Damage a frame that would otherwise arm the vehicle.
            datagram = arm();
            let index = random.below(datagram.len());
            datagram[index] ^= 1 << random.below(8);
            datagram.truncate(random.below(datagram.len() + 1));
        }
        link.receive(&datagram, peer(1), Duration::ZERO);
    }
    assert!(link.take_datagrams().is_empty());
    assert_eq!(link.next_due(), None);
    let status = link.protocol.telemetry(SYS_STATUS_DATA::ID).expect("status");
    let frame = Frame {
        version: mavlink::MavlinkVersion::V2,
        system_id: SYSTEM,
        component_id: 1,
        message_id: status.message_id,
        payload: &status.bytes,
    };
    let Ok(MavMessage::SYS_STATUS(status)) = frame.message() else {
        panic!("not a status");
    };
    assert!(status.errors_comm > 1000);
}

/// A vehicle served on a free port, until the sender is used or dropped.
async fn served() -> (
    SocketAddr,
    oneshot::Sender<()>,
    tokio::task::JoinHandle<Result<(), VehicleError>>,
) {
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, address) = oneshot::channel();
    let options = Options {
        system_id: SYSTEM,
        bind: peer(0),
        home: Home::default(),
        model: Model::Quad,
    };
    let stopped: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async {
        let _ = stopped.await;
    });
    let task = tokio::spawn(serve(options, stopped, |address| {
        let _ = ready.send(address);
    }));
    (address.await.expect("ready"), stop, task)
}

#[tokio::test]
async fn served_over_udp_until_stopped() {
    let (address, stop, task) = served().await;
    let socket = UdpSocket::bind(peer(0)).await.expect("bind");
    socket.connect(address).await.expect("connect");
    let mut buffer = [0; 2048];

    socket.send(b"no MAVLink").await.expect("send");
    socket.send(&heartbeat()).await.expect("send");
    let second = Duration::from_secs(1);
    let receive = timeout(second, socket.recv(&mut buffer)).await;
    let length = receive.expect("within a second").expect("receive");
    let frames: Vec<Frame<'_>> = Frames::of(&buffer[..length]).collect();
    assert_eq!(frames.len(), 1);
    assert_eq!((frames[0].system_id, frames[0].component_id), (SYSTEM, 1));
    let Ok(MavMessage::HEARTBEAT(answer)) = frames[0].message() else {
        panic!("not a heartbeat");
    };
    assert_eq!(answer.mavtype, MavType::MAV_TYPE_QUADROTOR);
    assert_eq!(answer.system_status, MavState::MAV_STATE_STANDBY);

    // Telemetry follows, in order and without gaps.
    let mut expected = 1;
    while expected < 40 {
        let receive = timeout(second, socket.recv(&mut buffer)).await;
        let length = receive.expect("telemetry").expect("receive");
        let mut rest = &buffer[..length];
        while let [0xFD, payload, _, _, sequence, ..] = *rest {
            assert_eq!(sequence, expected);
            expected += 1;
            rest = &rest[12 + usize::from(payload)..];
        }
    }

    stop.send(()).expect("running");
    assert!(task.await.expect("no panic").is_ok());
    let rebound = UdpSocket::bind(address).await;
    assert!(rebound.is_ok(), "the port is free again");
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let (address, _stop, _task) = served().await;
    let options = Options {
        system_id: 1,
        bind: address,
        home: Home::default(),
        model: Model::Quad,
    };
    let result = serve(options, std::future::pending(), |_| panic!("not ready")).await;
    let error = result.expect_err("taken");
    assert_eq!(error.to_string(), format!("cannot bind {address}"));
    assert!(std::error::Error::source(&error).is_some());
}
