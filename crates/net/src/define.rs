//! Records of new networks.

use crate::{
    Driver, Error, GatewayMode, GatewayModes, IpvlanFlag, IpvlanMode, Labels, MacvlanMode, Net,
    NetworkRecord, Origin, Pool, Uplink, UplinkMode,
    ipam::{complete_pool, overlap, pick_local_pool, pick_pool},
    net::taken_subnets,
    network::{NetworkRequest, PoolRequest},
    uplink::{dummy_name, parse_vlan},
};
use brig_core::Id;
use ipnet::IpNet;
use std::net::IpAddr;

const OPTION_BRIDGE: &str = "com.docker.network.bridge.name";
const OPTION_ICC: &str = "com.docker.network.bridge.enable_icc";
const OPTION_MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
const OPTION_GATEWAY4: &str = "com.docker.network.bridge.gateway_mode_ipv4";
const OPTION_GATEWAY6: &str = "com.docker.network.bridge.gateway_mode_ipv6";
const OPTION_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
const OPTION_SOURCE4: &str = "com.docker.network.host_ipv4";
const OPTION_SOURCE6: &str = "com.docker.network.host_ipv6";
const OPTION_PREFIX: &str = "com.docker.network.container_iface_prefix";
const OPTION_MTU: &str = "com.docker.network.driver.mtu";

impl Net {
    /// The networks that always exist, `bridge` (unless the configuration says `none`), `host` and `none`, with
    /// the ids and subnets of those in `stored`, but for what the configuration overrides. The engine stores what
    /// comes back; the date of creation of a new one is left for it to fill in.
    ///
    /// # Errors
    /// When no pool is free or the configured one makes no sense.
    pub fn default_networks(&self, stored: &[NetworkRecord]) -> Result<Vec<NetworkRecord>, Error> {
        let known = |name: &str| stored.iter().find(|n| n.name == name);
        let mut networks = Vec::new();
        if self.config.bridge != "none" {
            networks.push(self.default_bridge(known("bridge"))?);
        }
        for (name, driver) in [("host", Driver::Host), ("none", Driver::Null)] {
            networks.push(known(name).cloned().unwrap_or_else(|| plain(name, driver)));
        }
        Ok(networks)
    }

    fn default_bridge(&self, stored: Option<&NetworkRecord>) -> Result<NetworkRecord, Error> {
        let config = &self.config;
        let mut record = stored.cloned().unwrap_or_else(|| plain("bridge", Driver::Bridge));
        record.bridge.clone_from(&config.bridge);
        record.icc = config.icc;
        record.masquerade = config.ip_masquerade;
        record.mtu = config.mtu;
        record.pools = vec![self.default_pool(record.pools.first())?];
        record.options = Labels::from([
            ("com.docker.network.bridge.default_bridge".to_owned(), "true".to_owned()),
            (OPTION_ICC.to_owned(), config.icc.to_string()),
            (OPTION_MASQUERADE.to_owned(), config.ip_masquerade.to_string()),
            (
                "com.docker.network.bridge.host_binding_ipv4".to_owned(),
                config.host_ip.map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string()),
            ),
            (OPTION_BRIDGE.to_owned(), config.bridge.clone()),
            (OPTION_MTU.to_owned(), config.mtu.unwrap_or(1500).to_string()),
        ]);
        Ok(record)
    }

    /// `--bip`; or the subnet that the bridge has now; or the one that was stored, as long as it overlaps nothing;
    /// or a free one.
    fn default_pool(&self, stored: Option<&Pool>) -> Result<Pool, Error> {
        let range = self.config.fixed_cidr;
        let of = |address: IpNet| {
            let gateway = Some(address.addr());
            complete_pool(PoolRequest { subnet: address, gateway, range, reserved: Default::default() })
        };
        if let Some(bip) = self.config.bip {
            return of(bip);
        }
        if let Some(address) = self.bridge_address()? {
            return of(address);
        }
        let taken = taken_subnets(self, &self.config.bridge)?;
        let mut pool = match stored.filter(|p| !taken.iter().any(|t| overlap(t, &p.subnet))) {
            Some(pool) => pool.clone(),
            None => pick_pool(&taken)?,
        };
        if let Some(range) = range.filter(|r| !pool.subnet.contains(r)) {
            // As with Docker, the range alone says which subnet is meant.
            return complete_pool(PoolRequest {
                subnet: range,
                gateway: None,
                range: None,
                reserved: Default::default(),
            });
        }
        pool.range = range;
        Ok(pool)
    }

    fn bridge_address(&self) -> Result<Option<IpNet>, Error> {
        let name = &self.config.bridge;
        let fail = |source| Error::Link { name: name.clone(), step: "list addresses", source };
        let mut rtnl = self.rtnl();
        let Some(link) = rtnl.link(name).map_err(fail)? else { return Ok(None) };
        Ok(rtnl.addresses(link.index).map_err(fail)?.into_iter().find(|a| a.addr().is_ipv4()))
    }

    /// A record for a new user-defined network. Makes nothing; store it, then [`Net::ensure_network`].
    ///
    /// # Errors
    /// When its subnets make no sense or overlap others, or no default pool is free.
    pub fn define_network(&self, request: NetworkRequest) -> Result<NetworkRecord, Error> {
        if let Some(driver @ (Driver::Macvlan | Driver::Ipvlan)) = request.driver {
            return self.define_shared(driver, request);
        }
        let id = Id::random();
        let option = |name: &str| request.options.get(name).map(String::as_str);
        let unread = |name: &str, value: &str, function: &str| {
            unreadable(name, value, &format!("strconv.{function}: parsing {value:?}: invalid syntax"))
        };
        let flag = |name: &str| match option(name) {
            None | Some("true" | "1" | "t" | "T" | "TRUE" | "True") => Ok(true),
            Some("false" | "0" | "f" | "F" | "FALSE" | "False") => Ok(false),
            Some(other) => Err(unread(name, other, "ParseBool")),
        };
        let mtu = option(OPTION_MTU)
            .map(|mtu| mtu.parse().map_err(|_| unread(OPTION_MTU, mtu, "Atoi")))
            .transpose()?;
        let gateway_modes = gateway_modes(&request)?;
        let address = |name: &'static str| match option(name) {
            None => Ok(None),
            Some(text) => text.parse::<IpAddr>().map(Some).map_err(|_| unreadable(name, text, "nil ip")),
        };
        let binding = address(OPTION_BINDING)?;
        let sources = [address(OPTION_SOURCE4)?, address(OPTION_SOURCE6)?].into_iter().flatten().collect();
        let bridge = option(OPTION_BRIDGE)
            .filter(|name| !name.is_empty())
            .map_or_else(|| format!("br-{}", id.short()), str::to_owned);
        if !is_interface_name(&bridge) {
            return Err(Error::InvalidOption(format!("invalid name for a bridge: {bridge:?}")));
        }
        let there = |source| Error::Link { name: bridge.clone(), step: "look up", source };
        let adopted = self.rtnl().link(&bridge).map_err(there)?.is_some();
        let (icc, masquerade) = (flag(OPTION_ICC)?, flag(OPTION_MASQUERADE)?);
        let taken = taken_subnets(self, &bridge)?;
        let wanted = request.pools.into_iter().filter(|p| request.ipv6 || p.subnet.addr().is_ipv4());
        let mut pools = wanted.map(complete_pool).collect::<Result<Vec<_>, _>>()?;
        let configured = !pools.is_empty();
        {
            let state = self.state();
            let known = || state.networks.values().map(|n| &n.record);
            if let Some(other) = known().find(|n| n.driver == Driver::Bridge && n.bridge == bridge) {
                return Err(Error::BridgeTaken { bridge, id, other: other.id });
            }
            let mut subnets = known().flat_map(|n| n.pools.iter().map(|p| p.subnet));
            if subnets.any(|known| pools.iter().any(|p| overlap(&known, &p.subnet))) {
                return Err(Error::PoolOverlaps);
            }
        }
        if !pools.iter().any(|p| p.subnet.addr().is_ipv4()) {
            pools.insert(0, pick_pool(&taken)?);
        }
        if request.ipv6 && !pools.iter().any(|p| p.subnet.addr().is_ipv6()) {
            pools.push(pick_local_pool(id)?);
        }
        Ok(NetworkRecord {
            id,
            name: request.name,
            driver: Driver::Bridge,
            bridge,
            uplink: None,
            adopted,
            pools,
            ipv6: request.ipv6,
            internal: request.internal,
            attachable: request.attachable,
            configured,
            ipam_options: request.ipam_options,
            icc,
            masquerade,
            gateway_modes,
            binding,
            sources,
            interface_prefix: request.options.get(OPTION_PREFIX).filter(|p| !p.is_empty()).cloned(),
            mtu,
            options: request.options,
            labels: request.labels,
            created: request.created,
        })
    }
}

impl Net {
    /// A record for a new network on an interface of the host's.
    fn define_shared(&self, driver: Driver, request: NetworkRequest) -> Result<NetworkRecord, Error> {
        let id = Id::random();
        let uplink = self.define_uplink(driver, &request, &id)?;
        let gateways: Vec<_> = request.pools.iter().map(|p| p.gateway).collect();
        let wanted = request.pools.iter().filter(|p| request.ipv6 || p.subnet.addr().is_ipv4());
        let mut pools = wanted.cloned().map(complete_pool).collect::<Result<Vec<_>, _>>()?;
        let configured = !pools.is_empty();
        {
            let state = self.state();
            let mut subnets = state.networks.values().flat_map(|n| n.record.pools.iter().map(|p| p.subnet));
            if subnets.any(|known| pools.iter().any(|p| overlap(&known, &p.subnet))) {
                return Err(Error::PoolOverlaps);
            }
        }
        if !pools.iter().any(|p| p.subnet.addr().is_ipv4()) {
            pools.insert(0, pick_pool(&taken_subnets(self, &uplink.interface)?)?);
        }
        if request.ipv6 && !pools.iter().any(|p| p.subnet.addr().is_ipv6()) {
            pools.push(pick_local_pool(id)?);
        }
        for pool in &mut pools {
            // A next hop is another machine: there is one only where somebody says so, as in Docker 28.
            pool.gateway = pool.gateway.filter(|gateway| gateways.contains(&Some(*gateway)));
        }
        let mtu = request.options.get(OPTION_MTU).map(|mtu| {
            let why = format!("strconv.Atoi: parsing {mtu:?}: invalid syntax");
            mtu.parse().map_err(|_| unreadable(OPTION_MTU, mtu, &why))
        });
        Ok(NetworkRecord {
            id,
            uplink: Some(uplink),
            pools,
            ipv6: request.ipv6,
            internal: request.internal,
            attachable: request.attachable,
            configured,
            ipam_options: request.ipam_options,
            mtu: mtu.transpose()?,
            options: request.options,
            labels: request.labels,
            created: request.created,
            ..plain(&request.name, driver)
        })
    }

    /// The interface of the host's and how it is shared, in Docker's words where that makes no sense.
    fn define_uplink(&self, driver: Driver, request: &NetworkRequest, id: &Id) -> Result<Uplink, Error> {
        let option = |name: &str| request.options.get(name).map_or("", String::as_str);
        let name = driver.name();
        let refused = |what: &str, value: &str, default: &str| {
            let words = format!("requested {name} {what} '{value}' is not valid, {default}");
            Error::InvalidOption(words)
        };
        let mode = if driver == Driver::Macvlan {
            let mode = option("macvlan_mode");
            let default = "'bridge' mode is the macvlan driver default";
            UplinkMode::Macvlan(MacvlanMode::parse(mode).ok_or_else(|| refused("mode", mode, default))?)
        } else {
            let (mode, flag) = (option("ipvlan_mode"), option("ipvlan_flag"));
            let default = "'ipvlan l2' mode is the ipvlan driver default";
            let mode = IpvlanMode::parse(mode).ok_or_else(|| refused("mode", mode, default))?;
            let default = "'bridge' is the ipvlan driver default";
            UplinkMode::Ipvlan(mode, IpvlanFlag::parse(flag).ok_or_else(|| refused("flag", flag, default))?)
        };
        let parent = option("parent");
        if parent == "lo" {
            let words = format!("loopback interface is not a valid {name} parent link");
            return Err(Error::InvalidOption(words));
        }
        if parent.is_empty() {
            let prefix = if driver == Driver::Macvlan { "dm" } else { "di" };
            return Ok(Uplink { interface: dummy_name(prefix, id), mode, origin: Origin::Dummy });
        }
        let interface = parent.to_owned();
        let look_up = |source| Error::Link { name: interface.clone(), step: "look up", source };
        let there = is_interface_name(parent) && self.rtnl().link(parent).map_err(look_up)?.is_some();
        let others: Vec<NetworkRecord> = {
            let state = self.state();
            let on = |n: &&NetworkRecord| n.uplink.as_ref().is_some_and(|u| u.interface == parent);
            state.networks.values().map(|n| &n.record).filter(on).cloned().collect()
        };
        check_passthru(mode, &others, parent)?;
        let made = others.iter().find_map(|n| n.uplink.as_ref()).map(|uplink| uplink.origin);
        let origin = match made {
            Some(origin) => origin,
            None if there => Origin::Host,
            None => {
                let (of, _) = parse_vlan(parent)?;
                if !is_interface_name(parent) || self.rtnl().link(of).map_err(look_up)?.is_none() {
                    let words = format!("-o parent interface was not found on the host: {of}");
                    return Err(Error::InvalidOption(words));
                }
                Origin::Vlan
            }
        };
        Ok(Uplink { interface, mode, origin })
    }
}

/// One network has a `passthru` interface to itself.
fn check_passthru(mode: UplinkMode, others: &[NetworkRecord], parent: &str) -> Result<(), Error> {
    const PASSTHRU: UplinkMode = UplinkMode::Macvlan(MacvlanMode::Passthru);
    for other in others {
        let id = other.id;
        if mode == PASSTHRU {
            return Err(Error::InvalidOption(format!(
                "cannot use mode passthru, macvlan network {id} is already using parent interface {parent}"
            )));
        }
        if other.uplink.as_ref().is_some_and(|u| u.mode == PASSTHRU) {
            return Err(Error::InvalidOption(format!(
                "macvlan network {id} is already using parent interface {parent} in mode passthru"
            )));
        }
    }
    Ok(())
}

fn unreadable(name: &str, value: &str, why: &str) -> Error {
    Error::InvalidOption(format!("failed to parse {name} value: {value} ({why})"))
}

fn gateway_modes(request: &NetworkRequest) -> Result<GatewayModes, Error> {
    let of = |name| match request.options.get(name) {
        None => Ok(GatewayMode::default()),
        Some(text) => {
            let unknown = || unreadable(name, text, &format!("unknown gateway mode {text}"));
            GatewayMode::parse(text).ok_or_else(unknown)
        }
    };
    let modes = GatewayModes { v4: of(OPTION_GATEWAY4)?, v6: of(OPTION_GATEWAY6)? };
    if !request.internal && [modes.v4, modes.v6].contains(&GatewayMode::Isolated) {
        let words = "gateway mode 'isolated' can only be used for an internal network";
        return Err(Error::InvalidOption(words.to_owned()));
    }
    Ok(modes)
}

/// What the kernel takes for an interface's name (`dev_valid_name`).
fn is_interface_name(name: &str) -> bool {
    (1..16).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.chars().any(|c| c == '/' || c == ':' || c.is_whitespace() || c.is_control())
}

fn plain(name: &str, driver: Driver) -> NetworkRecord {
    NetworkRecord {
        id: Id::random(),
        name: name.to_owned(),
        driver,
        bridge: String::new(),
        uplink: None,
        adopted: false,
        pools: Vec::new(),
        ipv6: false,
        internal: false,
        attachable: false,
        configured: false,
        ipam_options: None,
        icc: true,
        masquerade: true,
        gateway_modes: GatewayModes::default(),
        binding: None,
        sources: Vec::new(),
        interface_prefix: None,
        mtu: None,
        options: Labels::new(),
        labels: Labels::new(),
        created: String::new(),
    }
}
