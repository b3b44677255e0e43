//! Networks of containers: drivers, addresses, links, firewall, published ports and the network process.
//!
//! [`Net`] is what the engine holds. It keeps no files: the engine stores [`NetworkRecord`]s and [`Endpoint`]s
//! and hands them to [`Net::rebuild`] after a restart; whatever the kernel holds beyond them is removed.
//!
//! * [`ipam`]: which pool a network gets and which address an endpoint gets. Pure.
//! * `rtnl`: links, addresses and routes by rtnetlink.
//! * `nft`: an encoder for the few nftables expressions that brig needs; `firewall`: brig's table in them.
//! * [`ports`]: which host ports are taken. Pure.
//! * `process`: `brig net`, which outlives the daemon, holds the published ports' sockets and proxies what
//!   address translation can't take.
//!
//! Everything blocks; the slowest call is a [`Net::create_netns`] at about a millisecond.

mod endpoint;
mod error;
pub mod ipam;
mod mac;
mod net;
mod netns;
mod network;
pub mod ports;

pub use endpoint::{Endpoint, EndpointRequest, PortBinding, PortRequest, Protocol};
pub use error::{Error, PublishError};
pub use mac::MacAddr;
pub use net::{Net, NetConfig};
pub use network::{Driver, Labels, NetworkRecord, NetworkRequest, Pool, PoolRequest};
