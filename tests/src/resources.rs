//! The resources of a process, as the kernel sees them.

use std::fs;

/// Descriptors, threads and memory of a process at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads of servers, by their names: the test harness has threads of its own.
    pub threads: usize,
    /// Resident memory in KiB.
    pub memory: u64,
}

/// The memory that allocators may keep for later, in KiB.
const KEPT: u64 = 48 * 1024;

impl Resources {
    /// Of the process that runs the tests.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self::of("self")
    }

    /// Of another process of the same user.
    #[must_use]
    pub fn of_process(id: u32) -> Self {
        Self::of(&id.to_string())
    }

    fn of(process: &str) -> Self {
        let entries =
            |directory: &str| fs::read_dir(format!("/proc/{process}/{directory}")).expect("it runs").flatten();
        let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
        let memory =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        Self {
            descriptors: entries("fd").count(),
            threads: entries("task").map(name).filter(|name| name.starts_with("kirsch-")).count(),
            memory: memory.expect("a process has memory"),
        }
    }

    /// Whether nothing was kept since `before`, except the memory that an allocator keeps for later.
    #[must_use]
    pub fn is_back_at(&self, before: &Self) -> bool {
        self.descriptors <= before.descriptors && self.threads == before.threads && self.memory <= before.memory + KEPT
    }
}
