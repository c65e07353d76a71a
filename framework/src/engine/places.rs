//! What an application can be served on, as code says it: an address in any form, or several.

use crate::Result;
use crate::exchange::Error;
use crate::server::ListenAddress;
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs};

/// What an application can be served on: an address, or an array, a slice or a `Vec` of them.
///
/// An address is a text as in the setting `server.listen` (see [`ListenAddress`]), where a name may stand for the IP
/// address: `"localhost:8080"`. Of all its addresses the first that can be had is taken. A [`SocketAddr`] is one, and
/// so is a host with a port: `("0.0.0.0", 80)`.
///
/// ```
/// use kirsch::prelude::*;
///
/// let app = || App::new(Tree::new().index(|_| "here"));
/// for running in [app().start("127.0.0.1:0")?, app().start(("127.0.0.1", 0))?, app().start(["127.0.0.1:0", "[::1]:0"])?] {
///     println!("on {}", running.address());
/// }
/// # Ok::<_, kirsch::Error>(())
/// ```
pub trait ListenPlaces {
    /// The addresses for each listener, of which the first that can be had is taken.
    ///
    /// # Errors
    /// Names the text that is no address, or whose name is not known.
    fn into_places(self) -> Result<Vec<Vec<ListenAddress>>>;
}

impl ListenPlaces for ListenAddress {
    fn into_places(self) -> Result<Vec<Vec<ListenAddress>>> {
        Ok(vec![vec![self]])
    }
}

impl ListenPlaces for &str {
    fn into_places(self) -> Result<Vec<Vec<ListenAddress>>> {
        let refused = |problem| Error::unexpected(format!("{self:?} is not an address to listen on: {problem}"));
        let mut words = self.split_ascii_whitespace();
        let place = words.next().unwrap_or_default();
        if place.starts_with("unix:") || place.starts_with("fd:") {
            return Ok(vec![vec![self.parse().map_err(refused)?]]);
        }
        let words: Vec<_> = words.collect();
        let resolved = resolved(&place)?.into_iter();
        let addresses = resolved.map(|address| ListenAddress::from(address).with_words(words.iter().copied()));
        Ok(vec![addresses.collect::<std::result::Result<_, _>>().map_err(refused)?])
    }
}

impl ListenPlaces for &String {
    fn into_places(self) -> Result<Vec<Vec<ListenAddress>>> {
        self.as_str().into_places()
    }
}

impl ListenPlaces for String {
    fn into_places(self) -> Result<Vec<Vec<ListenAddress>>> {
        self.as_str().into_places()
    }
}

macro_rules! as_the_system_resolves_them {
    ($($address:ty),*) => {
        $(
            impl ListenPlaces for $address {
                fn into_places(self) -> Result<Vec<Vec<ListenAddress>>> {
                    Ok(vec![resolved(&self)?.into_iter().map(ListenAddress::from).collect()])
                }
            }
        )*
    };
}

as_the_system_resolves_them! {
    SocketAddr, SocketAddrV4, SocketAddrV6, (&str, u16), (String, u16), (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16)
}

impl<T: ListenPlaces, const N: usize> ListenPlaces for [T; N] {
    fn into_places(self) -> Result<Vec<Vec<ListenAddress>>> {
        several(self)
    }
}

impl<T: ListenPlaces> ListenPlaces for Vec<T> {
    fn into_places(self) -> Result<Vec<Vec<ListenAddress>>> {
        several(self)
    }
}

impl<T: ListenPlaces + Clone> ListenPlaces for &[T] {
    fn into_places(self) -> Result<Vec<Vec<ListenAddress>>> {
        several(self.iter().cloned())
    }
}

fn several<T: ListenPlaces>(places: impl IntoIterator<Item = T>) -> Result<Vec<Vec<ListenAddress>>> {
    let mut all = Vec::new();
    for place in places {
        all.append(&mut place.into_places()?);
    }
    Ok(all)
}

fn resolved(address: &(impl ToSocketAddrs + Debug)) -> Result<Vec<SocketAddr>> {
    let hint = "write host and port, as \"127.0.0.1:8080\"";
    match address.to_socket_addrs().map(Vec::from_iter) {
        Ok(addresses) if addresses.is_empty() => {
            Err(Error::unexpected(format!("{address:?} is the address of nothing; {hint}")))
        }
        Ok(addresses) => Ok(addresses),
        Err(error) => Err(Error::unexpected(format!("{address:?} is not an address to listen on ({error}); {hint}"))),
    }
}
