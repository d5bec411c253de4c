//! How fast time passes for a vehicle: simulated seconds a second, by what its messages say of the time since it booted. A
//! simulator in lockstep that gets too little of the processor falls behind, and is below 1.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::mavlink;
use crate::probe::Station;

/// Two messages that are nearer than this say too little.
const SHORTEST: Duration = Duration::from_millis(800);

/// Measures the real-time factor of a vehicle that speaks MAVLink, over about a second.
///
/// # Errors
/// In a few words: it does not say what time it is for it, or nobody is there.
pub async fn real_time_factor(vehicle: SocketAddr, timeout: Duration) -> Result<f64, String> {
    match tokio::time::timeout(timeout, measured(vehicle)).await {
        Ok(measured) => measured.map_err(|error| format!("no messages from {vehicle}: {error}")),
        Err(_) => Err(format!(
            "{vehicle} has not said within {} s what time it is for it",
            timeout.as_secs_f64()
        )),
    }
}

pub(crate) async fn measured(vehicle: SocketAddr) -> std::io::Result<f64> {
    let mut station = Station::of(vehicle).await?;
    let mut first: Option<(Duration, Instant)> = None;
    loop {
        let Some(since_boot) = mavlink::since_boot(station.receive().await?) else {
            continue;
        };
        let now = Instant::now();
        match first {
            // It may have booted in between.
            Some((before, at)) if since_boot >= before => {
                let passed = now - at;
                if passed >= SHORTEST {
                    return Ok((since_boot - before).div_duration_f64(passed));
                }
            }
            _ => first = Some((since_boot, now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::UdpSocket;

    use super::*;
    use crate::probe::Probe;

    /// A vehicle for which time passes so fast, from the first message that it gets on.
    async fn vehicle(pace: f64) -> SocketAddr {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("binds"));
        let address = socket.local_addr().expect("is bound");
        tokio::spawn(async move {
            let mut buffer = [0; 100];
            let (_, station) = socket.recv_from(&mut buffer).await.expect("receives");
            let began = Instant::now();
            loop {
                let since_boot = began.elapsed().mul_f64(pace);
                let message = mavlink::tests::attitude(since_boot);
                socket.send_to(&message, station).await.expect("sends");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn a_vehicle_that_falls_behind_is_found_out() {
        for (pace, from, to) in [(1.0, 0.9, 1.1), (0.5, 0.4, 0.6), (2.0, 1.8, 2.2)] {
            let factor = real_time_factor(vehicle(pace).await, Duration::from_secs(20)).await;
            let factor = factor.expect("is measured");
            assert!((from..to).contains(&factor), "{factor} for {pace}");
        }
        let slow = Probe::Pace {
            vehicle: vehicle(0.5).await,
            least: 0.8,
        };
        let error = slow.run(Duration::from_secs(20)).await.expect_err("is too slow");
        assert!(
            error.starts_with("its real-time factor is 0.")
                && error.ends_with(", less than real_time_factor_min = 0.8"),
            "{error}"
        );
        let fast = Probe::Pace {
            vehicle: vehicle(1.0).await,
            least: 0.8,
        };
        fast.run(Duration::from_secs(20)).await.expect("is fast enough");
    }

    #[tokio::test]
    async fn a_vehicle_that_says_no_time_has_no_factor() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
        let address = silent.local_addr().expect("is bound");
        let error = real_time_factor(address, Duration::from_millis(300)).await;
        assert_eq!(
            error,
            Err(format!("{address} has not said within 0.3 s what time it is for it"))
        );
    }
}
