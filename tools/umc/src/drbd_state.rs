// SPDX-License-Identifier: GPL-2.0-only
//! What DRBD says of itself, by the lines of `drbdsetup events2`, which 8.4 and 9 write alike.

use std::collections::BTreeMap;

/// `KEY:VALUE` of an object.
pub type Fields = BTreeMap<String, String>;

/// The resources of a node, as the lines so far say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DrbdState {
    /// By resource.
    pub resources: BTreeMap<String, Fields>,
    /// By resource and connection.
    pub connections: BTreeMap<(String, String), Fields>,
    /// By resource and volume.
    pub devices: BTreeMap<(String, u32), Fields>,
    /// By resource, connection and volume.
    pub peer_devices: BTreeMap<(String, String, u32), Fields>,
    /// Whether the lines of the beginning are all there.
    pub is_whole: bool,
}

/// A field; a dash where there is none.
pub fn field<'a>(fields: &'a Fields, key: &str) -> &'a str {
    fields.get(key).map_or("-", String::as_str)
}

/// A field that is a number; nothing for one that is none.
pub fn number(fields: &Fields, key: &str) -> Option<u64> {
    fields.get(key)?.parse().ok()
}

impl DrbdState {
    /// From all lines of `events2 --now`.
    pub fn of(text: &str) -> DrbdState {
        let mut state = DrbdState::default();
        text.lines().for_each(|line| state.apply(line));
        state
    }

    /// Takes a line. What is not known is passed over.
    pub fn apply(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace().peekable();
        // `--timestamps` puts one in front.
        if words.peek().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit())) {
            words.next();
        }
        let (Some(what), Some(kind)) = (words.next(), words.next()) else { return };
        if what == "exists" && kind == "-" {
            self.is_whole = true;
            return;
        }
        let fields: Fields = words
            .filter_map(|word| word.split_once(':'))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let Some(name) = fields.get("name").cloned() else { return };
        let connection = || fields.get("conn-name").cloned().unwrap_or_default();
        let volume = || number(&fields, "volume").unwrap_or_default() as u32;
        let is_gone = what == "destroy";
        if what == "rename" {
            let to = field(&fields, "new_name").to_owned();
            self.rename(&name, &to);
            return;
        }
        if !["exists", "create", "change", "destroy"].contains(&what) {
            return;
        }
        match kind {
            "resource" => put(&mut self.resources, name, fields, is_gone),
            "connection" => put(&mut self.connections, (name, connection()), fields, is_gone),
            "device" => put(&mut self.devices, (name, volume()), fields, is_gone),
            "peer-device" => {
                put(&mut self.peer_devices, (name, connection(), volume()), fields, is_gone);
            }
            _ => {}
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        let new = |name: String| if name == from { to.to_owned() } else { name };
        let resources = std::mem::take(&mut self.resources);
        self.resources = resources.into_iter().map(|(name, of)| (new(name), of)).collect();
        let connections = std::mem::take(&mut self.connections);
        self.connections =
            connections.into_iter().map(|((name, c), of)| ((new(name), c), of)).collect();
        let devices = std::mem::take(&mut self.devices);
        self.devices = devices.into_iter().map(|((name, v), of)| ((new(name), v), of)).collect();
        let peers = std::mem::take(&mut self.peer_devices);
        self.peer_devices =
            peers.into_iter().map(|((name, c, v), of)| ((new(name), c, v), of)).collect();
    }

    /// Connections of a resource.
    pub fn connections_of<'a>(
        &'a self,
        resource: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Fields)> {
        let all = self.connections.iter().filter(move |((name, _), _)| name == resource);
        all.map(|((_, connection), fields)| (connection.as_str(), fields))
    }

    /// Volumes of a resource.
    pub fn devices_of<'a>(&'a self, resource: &'a str) -> impl Iterator<Item = (u32, &'a Fields)> {
        let all = self.devices.iter().filter(move |((name, _), _)| name == resource);
        all.map(|((_, volume), fields)| (*volume, fields))
    }

    /// Volumes at the other end of a connection.
    pub fn peer_devices_of<'a>(
        &'a self,
        resource: &'a str,
        connection: &'a str,
    ) -> impl Iterator<Item = (u32, &'a Fields)> {
        let all = self.peer_devices.iter();
        all.filter(move |((name, to, _), _)| name == resource && to == connection)
            .map(|((_, _, volume), fields)| (*volume, fields))
    }
}

/// A change has only what changed.
fn put<K: Ord>(into: &mut BTreeMap<K, Fields>, key: K, fields: Fields, is_gone: bool) {
    if is_gone {
        into.remove(&key);
    } else {
        into.entry(key).or_default().extend(fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_make_a_state() {
        let mut state = DrbdState::of(
            "exists resource name:r0 role:Secondary suspended:no\n\
             exists connection name:r0 peer-node-id:1 conn-name:b connection:Connecting role:Unknown\n\
             exists device name:r0 volume:0 minor:0 disk:UpToDate size:32728\n\
             exists peer-device name:r0 peer-node-id:1 conn-name:b volume:0 replication:Off peer-disk:DUnknown\n\
             exists path name:r0 peer-node-id:1 conn-name:b local:ipv4:127.0.0.1:7789 peer:ipv4:127.0.0.2:7789\n\
             exists -\n",
        );
        assert!(state.is_whole);
        assert_eq!(number(&state.devices[&("r0".into(), 0)], "size"), Some(32728));
        state.apply("2026-01-01T00:00:00.000000+00:00 change resource name:r0 role:Primary");
        assert_eq!(field(&state.resources["r0"], "role"), "Primary");
        assert_eq!(field(&state.resources["r0"], "suspended"), "no");
        state.apply("rename resource name:r0 new_name:r1");
        let (to, fields) = state.connections_of("r1").next().unwrap();
        assert_eq!((to, field(fields, "connection")), ("b", "Connecting"));
        assert_eq!(state.peer_devices_of("r1", "b").count(), 1);
        state.apply("destroy peer-device name:r1 peer-node-id:1 conn-name:b volume:0");
        assert_eq!(state.peer_devices_of("r1", "b").count(), 0);
        assert_eq!(state.devices_of("r1").count(), 1);
        state.apply("call helper name:r1 minor:0 helper:before-resync-target");
        state.apply("");
        assert_eq!(state.resources.len(), 1);
    }
}
