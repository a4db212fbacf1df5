//! Which sockets may have one port together: Linux's rules for SO_REUSEADDR and SO_REUSEPORT.

/// What a socket says of others that want its port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sharing {
    /// `SO_REUSEADDR`.
    pub(crate) address: bool,
    /// `SO_REUSEPORT`.
    pub(crate) port: bool,
}

impl Sharing {
    /// Two such sockets may have one port.
    pub(crate) fn admits(self, other: Sharing) -> bool {
        self.address && other.address || self.port && other.port
    }
}

/// How many sockets have something, and how many of them do not share it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holders {
    all: u32,
    without_address: u32,
    without_port: u32,
}

impl Holders {
    pub(crate) fn add(&mut self, sharing: Sharing) {
        self.all += 1;
        self.without_address += u32::from(!sharing.address);
        self.without_port += u32::from(!sharing.port);
    }

    /// One that was added goes.
    pub(crate) fn remove(&mut self, sharing: Sharing) {
        self.all = self.all.saturating_sub(1);
        let (address, port) = (u32::from(!sharing.address), u32::from(!sharing.port));
        self.without_address = self.without_address.saturating_sub(address);
        self.without_port = self.without_port.saturating_sub(port);
    }

    pub(crate) fn is_empty(self) -> bool {
        self.all == 0
    }

    /// All of them share the port.
    pub(crate) fn share_port(self) -> bool {
        self.without_port == 0
    }

    /// One more may join them.
    pub(crate) fn admit(self, sharing: Sharing) -> bool {
        let common = Sharing { address: self.without_address == 0, port: self.without_port == 0 };
        self.is_empty() || common.admits(sharing)
    }
}

/// Which of `count` sockets a hash means.
pub(crate) fn choose(hash: u64, count: usize) -> usize {
    // As a fraction of them: a remainder would cost a division.
    ((u128::from(hash) * count as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_sharing() -> impl Strategy<Value = Sharing> {
        any::<(bool, bool)>().prop_map(|(address, port)| Sharing { address, port })
    }

    proptest! {
        /// Counting finds what comparing with each would.
        #[test]
        fn holders_agree_with_a_list(
            ops in prop::collection::vec((any_sharing(), any::<bool>()), 0..50),
        ) {
            let (mut holders, mut list) = (Holders::default(), Vec::<Sharing>::new());
            for (sharing, comes) in ops {
                if comes {
                    let admitted = list.iter().all(|other| other.admits(sharing));
                    prop_assert_eq!(holders.admit(sharing), admitted);
                    if admitted {
                        holders.add(sharing);
                        list.push(sharing);
                    }
                } else if let Some(gone) = list.pop() {
                    holders.remove(gone);
                }
                prop_assert_eq!(holders.is_empty(), list.is_empty());
                prop_assert_eq!(holders.share_port(), list.iter().all(|it| it.port));
            }
        }
    }

    #[test]
    fn every_socket_is_meant_by_its_share_of_hashes() {
        let mut counts = [0; 3];
        let step = u64::MAX / 300;
        (0..300).for_each(|i| counts[choose(i * step + step / 2, 3)] += 1);
        assert_eq!(counts, [100; 3]);
        assert_eq!((choose(0, 7), choose(u64::MAX, 7)), (0, 6));
    }
}
