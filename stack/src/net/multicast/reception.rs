//! What all sockets together hear of a group (RFC 3376 §3.2).

use super::filter::{Filter, Mode};
use crate::wire::address::Address;
use std::collections::{BTreeMap, BTreeSet};

/// What all sockets together hear of a group.
#[derive(Clone, Debug, Default)]
pub(super) struct Reception {
    /// Sockets that are members, by the mode of their filter.
    members: [u32; 2],
    /// How many of them name each source.
    named: BTreeMap<Address, [u32; 2]>,
}

impl Reception {
    /// The filter of one socket changes; None: it is no member.
    pub(super) fn change(&mut self, before: Option<&Filter>, after: Option<&Filter>) {
        if let Some(Filter { mode, sources }) = before {
            let mode = *mode as usize;
            self.members[mode] = self.members[mode].saturating_sub(1);
            for source in sources {
                let Some(named) = self.named.get_mut(source) else { continue };
                named[mode] = named[mode].saturating_sub(1);
                if *named == [0; 2] {
                    self.named.remove(source);
                }
            }
        }
        if let Some(Filter { mode, sources }) = after {
            self.members[*mode as usize] += 1;
            for source in sources {
                self.named.entry(*source).or_default()[*mode as usize] += 1;
            }
        }
    }

    /// Something is heard.
    pub(super) fn is_any(&self) -> bool {
        self.members != [0; 2]
    }

    /// How many sources are named.
    pub(super) fn named(&self) -> usize {
        self.named.len()
    }

    /// A socket wants what comes from `source`: it names it, or does not exclude it.
    pub(super) fn admits(&self, source: Address) -> bool {
        let [including, excluding] = self.named.get(&source).copied().unwrap_or_default();
        including > 0 || excluding < self.members[Mode::Exclude as usize]
    }

    /// The filter of all together: where one hears all sources but some, those that all such
    /// exclude and nobody includes; otherwise those that are included.
    pub(super) fn state(&self) -> (Mode, BTreeSet<Address>) {
        let is_open = self.members[Mode::Exclude as usize] > 0;
        let mode = if is_open { Mode::Exclude } else { Mode::Include };
        let sources = self.named.keys().copied();
        (mode, sources.filter(|source| self.admits(*source) != is_open).collect())
    }
}
