//! The client behind an address.

use std::net::{IpAddr, Ipv6Addr};

/// The address itself, of IPv6 the network of 64 bits: that is the minimum that a customer gets, so one client has more
/// addresses than can be counted.
pub(super) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}
