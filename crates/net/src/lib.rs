//! Network drivers, IPAM, nftables, port publishing and the network process.
