//! Where a request comes from, when proxies stand in between.

use std::{net::IpAddr, str::FromStr};

use http::HeaderMap;

use crate::Error;

/// The proxies whose word is believed.
///
/// Each proxy appends to `X-Forwarded-For` whom it was called by, so the right-most entries are what our own proxies saw, and
/// whatever stands further left may have been sent by the client. Beginning at the right, addresses of trusted proxies are passed
/// over; the first other one is the client's. A peer that is not trusted is the client, whatever it claims.
///
/// ```
/// use std::net::IpAddr;
/// use http::HeaderMap;
/// use trackside_ratelimit::TrustedProxies;
///
/// let proxies = TrustedProxies::new(["10.0.0.0/8"])?;
/// let mut headers = HeaderMap::new();
/// headers.insert("x-forwarded-for", "198.51.100.66, 203.0.113.9, 10.0.0.2".parse()?);
/// let client: IpAddr = "203.0.113.9".parse()?;
/// assert_eq!(proxies.client("10.0.0.1".parse()?, &headers), client);
/// // A client that talks to us directly is not believed.
/// assert_eq!(proxies.client("192.0.2.1".parse()?, &headers).to_string(), "192.0.2.1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies {
    networks: Vec<Network>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

// === impl TrustedProxies ===

impl TrustedProxies {
    /// The proxies in these networks, such as `10.0.0.0/8`, or at these addresses.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when one is neither.
    pub fn new(networks: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, Error> {
        let networks = networks.into_iter().map(|text| text.as_ref().parse()).collect::<Result<_, _>>()?;
        Ok(Self { networks })
    }

    /// The address of the client of a request that came from `peer`.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.is_trusted(client) {
            return client;
        }
        // Several fields are one list.
        let lists: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().filter_map(|list| list.to_str().ok()).collect();
        for hop in lists.iter().rev().flat_map(|list| list.rsplit(',')) {
            // What cannot be read was not written by a proxy of ours; whom the last one of them saw is known.
            let Some(address) = read(hop.trim()) else { return client };
            client = address;
            if !self.is_trusted(client) {
                return client;
            }
        }
        client
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.has(address))
    }
}

/// An address, with or without a port.
fn read(hop: &str) -> Option<IpAddr> {
    let address = hop.parse().ok().or_else(|| Some(hop.parse::<std::net::SocketAddr>().ok()?.ip()));
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    address.or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

// === impl Network ===

impl Network {
    fn has(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || Error::InvalidInput {
            field: "trusted_proxies",
            reason: format!("{text:?} is neither an address nor a network such as 10.0.0.0/8"),
        };
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| bad())?;
        if bits > most {
            return Err(bad());
        }
        Ok(Self { address, bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&'static str]) -> String {
        let proxies = TrustedProxies::new(["10.0.0.0/8", "2001:db8::/32", "192.0.2.200"]).unwrap();
        let mut headers = HeaderMap::new();
        for list in forwarded {
            headers.append("x-forwarded-for", list.parse().unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_right_most_hop_that_is_no_proxy_of_ours_is_the_client() {
        assert_eq!(client("10.1.2.3", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.1.2.3", &["1.1.1.1, 198.51.100.1 , 192.0.2.200"]), "198.51.100.1");
        assert_eq!(client("10.1.2.3", &["1.1.1.1", "198.51.100.1, 10.0.0.9"]), "198.51.100.1", "several fields");
        assert_eq!(client("2001:db8::1", &["[2a00::7]:443"]), "2a00::7");
        assert_eq!(client("::ffff:10.0.0.1", &["::ffff:198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["10.0.0.2, 10.0.0.3"]), "10.0.0.2", "a proxy that calls by itself");
    }

    #[test]
    fn a_claim_is_not_believed() {
        assert_eq!(client("203.0.113.9", &["10.0.0.1"]), "203.0.113.9", "it is no proxy of ours");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, unknown"]), "10.0.0.1", "not written by a proxy of ours");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, x, 10.0.0.5"]), "10.0.0.5");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in ["", "10.0.0.0/33", "10.0.0.0/", "proxy.example.org", "::/129"] {
            assert!(TrustedProxies::new([bad]).is_err(), "{bad:?}");
        }
        let everybody = TrustedProxies::new(["0.0.0.0/0"]).unwrap();
        assert!(everybody.is_trusted("203.0.113.9".parse().unwrap()) && !everybody.is_trusted("::1".parse().unwrap()));
    }
}
