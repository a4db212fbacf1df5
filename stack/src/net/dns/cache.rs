//! What was asked lately (RFC 2308): addresses, and that there are none.

use std::collections::{BTreeMap, BTreeSet};

use core::net::IpAddr;
use core::time::Duration;

use super::name::DomainName;
use super::{Family, ResolveError};
use crate::time::Instant;

/// What is known of a name, one way or the other.
pub(crate) type Known = Result<Vec<IpAddr>, ResolveError>;

type Key = (DomainName, Family);

/// Answers, each for as long as it is good.
#[derive(Debug)]
pub(crate) struct Cache {
    known: BTreeMap<Key, (Instant, Known)>,
    /// The same keys by when they end.
    ends: BTreeSet<(Instant, Key)>,
    max: usize,
}

impl Cache {
    pub(crate) fn new(max: usize) -> Cache {
        Cache { known: BTreeMap::new(), ends: BTreeSet::new(), max }
    }

    pub(crate) fn find(&self, now: Instant, name: &DomainName, family: Family) -> Option<&Known> {
        let (end, known) = self.known.get(&(name.clone(), family))?;
        (now < *end).then_some(known)
    }

    /// Remembers `known` for `time`; true if another was forgotten for it before its time.
    pub(crate) fn insert(
        &mut self,
        now: Instant,
        name: &DomainName,
        family: Family,
        known: Known,
        time: Duration,
    ) -> bool {
        // RFC 1035 §3.2.1: zero is for the present use only.
        if time.is_zero() || self.max == 0 {
            return false;
        }
        let key = (name.clone(), family);
        let end = now + time;
        if let Some((former, _)) = self.known.insert(key.clone(), (end, known)) {
            self.ends.remove(&(former, key.clone()));
        }
        self.ends.insert((end, key));
        let Some((first, _)) = self.ends.first() else { return false };
        let is_early = *first > now;
        if self.known.len() > self.max
            && let Some((_, key)) = self.ends.pop_first()
        {
            self.known.remove(&key);
            return is_early;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn known(last: u8) -> Known {
        Ok(vec![IpAddr::from([192, 0, 2, last])])
    }

    #[test]
    fn answers_are_good_for_their_time_and_their_family() {
        let mut cache = Cache::new(4);
        let name = "a.example".parse().unwrap();
        cache.insert(Instant::ZERO, &name, Family::V4, known(1), MINUTE);
        let just = Instant::from_millis(59_999);
        assert_eq!(cache.find(just, &name, Family::V4), Some(&known(1)));
        assert_eq!(cache.find(just, &name, Family::V6), None);
        assert_eq!(cache.find(Instant::from_secs(60), &name, Family::V4), None);
        cache.insert(just, &name, Family::V4, known(2), Duration::ZERO);
        assert_eq!(cache.find(just, &name, Family::V4), Some(&known(1)), "zero is not kept");
        let none = Err(ResolveError::NoSuchName);
        cache.insert(just, &name, Family::V4, none.clone(), MINUTE);
        assert_eq!(cache.find(Instant::from_secs(100), &name, Family::V4), Some(&none));
        assert_eq!((cache.known.len(), cache.ends.len()), (1, 1));
    }

    #[test]
    fn at_the_limit_the_first_to_end_is_forgotten() {
        let mut cache = Cache::new(2);
        let names = ["a", "b", "c", "d"].map(|text| text.parse::<DomainName>().unwrap());
        let times = [60, 10, 30];
        for (name, time) in names.iter().zip(times) {
            let time = Duration::from_secs(time);
            let evicted = cache.insert(Instant::ZERO, name, Family::V4, known(1), time);
            assert_eq!(evicted, *name == names[2]);
        }
        let has = |cache: &Cache| {
            names.clone().map(|name| cache.find(Instant::ZERO, &name, Family::V4).is_some())
        };
        assert_eq!(has(&cache), [true, false, true, false]);
        let later = Instant::from_secs(40);
        assert!(!cache.insert(later, &names[3], Family::V4, known(1), MINUTE), "c was over");
        assert_eq!((cache.known.len(), cache.ends.len()), (2, 2));
        assert!(!Cache::new(0).insert(later, &names[3], Family::V4, known(1), MINUTE));
    }
}
