//! Who is connected to a server: the connections of the machine that nginx runs on, as its kernel tells them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Established, and about to be.
const OPEN: [&str; 2] = ["01", "02"];

/// Returns how many connections go to one of some addresses, of a table in the form of `/proc/net/tcp` and `tcp6`.
pub(crate) fn count(table: &str, to: &[SocketAddr]) -> usize {
    let is_to = |line: &&str| {
        let mut words = line.split_whitespace().skip(2);
        let (Some(remote), Some(state)) = (words.next(), words.next()) else {
            return false;
        };
        OPEN.contains(&state) && parse(remote).is_some_and(|remote| to.contains(&remote))
    };
    table.lines().filter(is_to).count()
}

/// Reads an address: each four bytes of it are a number as the machine has it in memory, least significant byte first.
fn parse(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let words = address.as_bytes().chunks(8).map(|word| {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        Some(word.to_le_bytes())
    });
    let bytes: Vec<u8> = words.collect::<Option<Vec<_>>>()?.concat();
    let address = match *bytes {
        [a, b, c, d] => IpAddr::from([a, b, c, d]),
        _ => {
            let address = Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?);
            address
                .to_ipv4_mapped()
                .map_or(IpAddr::V6(address), |it: Ipv4Addr| IpAddr::V4(it))
        }
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_to_a_server_are_counted() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0200007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 0100007F:C350 0200007F:1388 01 00000000:00000000 00:00000000 00000000     0        0 2 1
   2: 0200007F:1388 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 3 1
   3: 0100007F:C351 0200007F:1388 06 00000000:00000000 00:00000000 00000000     0        0 0 1
   4: 0100007F:C352 0200007F:1389 01 00000000:00000000 00:00000000 00000000     0        0 4 1
   0: 0000000000000000FFFF00000100007F:C353 0000000000000000FFFF00000200007F:1388 01 0:0 00:0 0 0 0 5 1
   1: 00000000000000000000000001000000:C354 00000000000000000000000001000000:1388 02 0:0 00:0 0 0 0 6 1
";
        let to = |text: &str| -> SocketAddr { text.parse().expect("an address") };
        assert_eq!(count(table, &[to("127.0.0.2:5000")]), 2);
        assert_eq!(count(table, &[to("[::1]:5000")]), 1);
        assert_eq!(count(table, &[to("127.0.0.2:5001"), to("[::1]:5000")]), 2);
        assert_eq!(count(table, &[to("127.0.0.3:5000")]), 0);
        assert_eq!(count("nothing\n", &[to("127.0.0.3:5000")]), 0);
    }
}
