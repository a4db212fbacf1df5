//! Which cores a thread may run on.

/// Whether the calling thread may run on one core only (`sched_setaffinity(2)`, `taskset`): a
/// system call, because others may change it at any time. False where that cannot be found out.
pub fn is_bound_to_one_core() -> bool {
    rustix::thread::sched_getaffinity(None).is_ok_and(|cores| cores.count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    #[test]
    fn a_thread_is_bound_while_it_runs() {
        let all = sched_getaffinity(None).unwrap();
        assert_eq!(is_bound_to_one_core(), all.count() == 1);
        let mut one = CpuSet::new();
        one.set((0..CpuSet::MAX_CPU).find(|&core| all.is_set(core)).unwrap());
        sched_setaffinity(None, &one).unwrap();
        assert!(is_bound_to_one_core());
        sched_setaffinity(None, &all).unwrap();
        assert_eq!(is_bound_to_one_core(), all.count() == 1);
    }
}
