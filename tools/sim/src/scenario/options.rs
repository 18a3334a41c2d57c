// SPDX-License-Identifier: GPL-2.0-only
//! Options of the resource, which only DRBD 9 has.

use serde::Deserialize;

use super::bounds;

/// How many nodes with disks have to be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "QuorumText")]
pub enum Quorum {
    /// It does not matter.
    #[default]
    Off,
    Majority,
    All,
    Nodes(u32),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum QuorumText {
    Word(String),
    Nodes(u32),
}

impl TryFrom<QuorumText> for Quorum {
    type Error = String;

    fn try_from(text: QuorumText) -> Result<Quorum, String> {
        match text {
            QuorumText::Nodes(nodes @ 1..=16) => Ok(Quorum::Nodes(nodes)),
            QuorumText::Word(word) if word == "off" => Ok(Quorum::Off),
            QuorumText::Word(word) if word == "majority" => Ok(Quorum::Majority),
            QuorumText::Word(word) if word == "all" => Ok(Quorum::All),
            _ => Err("must be \"off\", \"majority\", \"all\" or a number from 1 to 16".into()),
        }
    }
}

impl Quorum {
    /// As the driver numbers it.
    pub fn number(self) -> u32 {
        match self {
            Quorum::Off => 0,
            Quorum::Majority => 1024,
            Quorum::All => 1025,
            Quorum::Nodes(nodes) => nodes,
        }
    }
}

/// What becomes of requests without quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnNoQuorum {
    IoError,
    SuspendIo,
}

/// What becomes of a Primary that waits without quorum and comes back to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnSuspendedPrimaryOutdated {
    Disconnect,
    ForceSecondary,
}

/// Options of the resource.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptionsSpec {
    pub quorum: Quorum,
    pub on_no_quorum: OnNoQuorum,
    pub on_suspended_primary_outdated: OnSuspendedPrimaryOutdated,
    /// Tenths of a second that a change of state of the whole cluster may take.
    #[serde(deserialize_with = "bounds::within::<50, 600, _, _>")]
    pub twopc_timeout: u32,
}

impl Default for OptionsSpec {
    fn default() -> OptionsSpec {
        OptionsSpec {
            quorum: Quorum::Off,
            on_no_quorum: OnNoQuorum::SuspendIo,
            on_suspended_primary_outdated: OnSuspendedPrimaryOutdated::ForceSecondary,
            twopc_timeout: 300,
        }
    }
}
