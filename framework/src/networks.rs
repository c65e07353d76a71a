//! Networks of addresses, as settings have them: `10.0.0.0/8`, `::1`, `loopback`, `private`; and `unix` for peers that
//! have no address.
//!
//! An IPv4 address and the same one written as IPv6 (`::ffff:10.0.0.1`, as a socket for both shows it) are one address:
//! everything is compared as IPv6.

use crate::exchange::Peer;
use std::net::IpAddr;

/// A list of networks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Networks {
    networks: Vec<Network>,
    /// Whether peers at Unix sockets are in it.
    has_unix: bool,
}

#[derive(Clone, Debug)]
struct Network {
    start: u128,
    /// One bit for each place that must be equal.
    mask: u128,
}

const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1"];
/// RFC 1918, RFC 6598, RFC 3927, RFC 4193, and the link's own of IPv6.
const PRIVATE: [&str; 7] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10"];

impl Networks {
    /// Reads the texts of a setting.
    ///
    /// # Errors
    /// The mistake, as it goes on after the name of the setting.
    pub(crate) fn parse(texts: &[String]) -> Result<Self, String> {
        if texts.is_empty() {
            return Err("is empty: name the networks of your proxies, as \"10.0.0.0/8\" or \"loopback\"".to_owned());
        }
        let (mut networks, mut has_unix) = (Vec::new(), false);
        for text in texts {
            match text.trim() {
                "loopback" => networks.extend(LOOPBACK.iter().filter_map(|text| network(text).ok())),
                "private" => networks.extend(PRIVATE.iter().filter_map(|text| network(text).ok())),
                "unix" => has_unix = true,
                text => networks.push(network(text)?),
            }
        }
        Ok(Self { networks, has_unix })
    }

    /// Whether the peer is in one of them.
    pub(crate) fn contain_peer(&self, peer: &Peer) -> bool {
        peer.address().map_or(self.has_unix, |address| self.contain(address.ip()))
    }

    /// Whether the address is in one of them.
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        let bits = bits(address);
        self.networks.iter().any(|network| bits & network.mask == network.start)
    }
}

fn network(text: &str) -> Result<Network, String> {
    let wrong = || {
        format!(
            "has {text:?}; write networks as \"10.0.0.0/8\" or \"2001:db8::/32\", addresses, \"loopback\", \"private\" or \"unix\""
        )
    };
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u32>().map_err(|_| wrong())?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let (width, start) = (if address.is_ipv4() { 32 } else { 128 }, bits(address));
    let length = length.unwrap_or(width);
    if length > width {
        return Err(wrong());
    }
    let mask = u128::MAX.checked_shl(width - length).unwrap_or(0);
    if start & mask != start {
        return Err(format!("has {text:?}, whose address has bits behind /{length}: which network is meant?"));
    }
    Ok(Network { start, mask })
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(networks: &[&str], address: &str) -> bool {
        let texts: Vec<_> = networks.iter().map(|text| (*text).to_owned()).collect();
        Networks::parse(&texts).unwrap().contain(address.parse().unwrap())
    }

    #[test]
    fn a_network_contains_addresses_with_its_prefix() {
        for (networks, address, is_in) in [
            (&["10.0.0.0/8"][..], "10.255.0.1", true),
            (&["10.0.0.0/8"], "11.0.0.1", false),
            (&["10.0.0.0/8"], "::ffff:10.1.2.3", true),
            (&["192.0.2.7"], "192.0.2.7", true),
            (&["192.0.2.7"], "192.0.2.8", false),
            (&["0.0.0.0/0"], "203.0.113.1", true),
            (&["0.0.0.0/0"], "2001:db8::1", false),
            (&["2001:db8::/32"], "2001:db8:1::1", true),
            (&["::/0"], "192.0.2.1", true),
            (&["loopback"], "127.3.2.1", true),
            (&["loopback"], "::1", true),
            (&["private"], "172.31.0.1", true),
            (&["private"], "172.32.0.1", false),
            (&["private", "loopback"], "fd12::1", true),
        ] {
            assert_eq!(contains(networks, address), is_in, "{address} in {networks:?}");
        }
    }

    #[test]
    fn a_peer_without_an_address_is_in_the_list_by_a_word_of_its_own() {
        let peer = Peer::Unix(crate::exchange::UnixPeer { uid: 0, gid: 0, pid: None });
        let lists = [("unix", true), ("loopback", false), ("0.0.0.0/0", false)];
        for (text, is_in) in lists {
            assert_eq!(Networks::parse(&[text.to_owned()]).unwrap().contain_peer(&peer), is_in, "{text}");
        }
    }

    #[test]
    fn a_malformed_network_is_refused_with_the_way_to_write_one() {
        for text in ["10.0.0.0/33", "10.0.0/8", "proxy.example", "", "::1/129", "10.0.0.0/x", "all"] {
            assert!(Networks::parse(&[text.to_owned()]).unwrap_err().contains("write networks as"), "{text}");
        }
        assert!(Networks::parse(&["10.0.0.1/8".to_owned()]).unwrap_err().contains("bits behind /8"));
        assert!(Networks::parse(&[]).unwrap_err().contains("is empty"));
    }
}
