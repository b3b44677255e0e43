//! Networks of containers: drivers, addresses, links, firewall, published ports and the network process.
//!
//! [`Net`] is what the engine holds. It keeps no files: the engine stores [`NetworkRecord`]s and [`Endpoint`]s
//! and hands them to [`Net::rebuild`] after a restart; whatever the kernel holds beyond them is removed.
//!
//! * [`ipam`]: which pool a network gets and which address an endpoint gets. Pure.
//! * `rtnl`: links, addresses and routes by rtnetlink.
//! * `nft`: an encoder for the few nftables expressions that brig needs; `firewall`: brig's table in them.
//! * [`ports`]: which host ports are taken. Pure.
//! * [`dns`]: names of containers, their resolver's messages and sockets.
//! * [`process`]: `brig net`, which outlives the daemon, holds the published ports' sockets and proxies what
//!   address translation can't take.
//!
//! Everything blocks; the slowest call is a [`Net::create_netns`] at about a millisecond.

mod attach;
mod bridge;
mod config;
mod conntrack;
mod define;
pub mod dns;
mod endpoint;
mod error;
mod firewall;
mod foreign;
pub mod ipam;
mod link;
mod mac;
mod names;
mod net;
mod netlink;
mod netns;
mod network;
mod nft;
pub mod ports;
pub mod process;
mod publish;
mod rebuild;
mod rtnl;
mod sysctl;
mod uplink;

pub use config::NetConfig;
pub use endpoint::{Endpoint, EndpointRequest, PortBinding, PortRequest, Protocol};
pub use error::{Error, PublishError};
pub use mac::MacAddr;
pub use net::Net;
pub use network::{
    Driver, GatewayMode, GatewayModes, Labels, NetworkRecord, NetworkRequest, Pool, PoolRequest,
};
pub use uplink::{IpvlanFlag, IpvlanMode, MacvlanMode, Origin, Uplink, UplinkMode};

#[cfg(test)]
mod tests;
