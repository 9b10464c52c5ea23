//! What is open: which worker has a session, which ports belong to what.
//!
//! It makes opening idempotent without asking a worker, and knows which ports a close frees.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use media_core::{ForkPorts, ForkRole, Side};

use crate::command::Entered;
use crate::ports::{InterfaceNumber, Lease};

use super::few::Few;

/// What a fork was opened with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ForkKind {
    pub(crate) endpoint: Arc<str>,
    pub(crate) side: Side,
    pub(crate) role: ForkRole,
    pub(crate) cname: Arc<str>,
    /// Its number.
    pub(crate) interface: InterfaceNumber,
    pub(crate) ports: ForkPorts,
    pub(crate) batch_ns: u64,
    pub(crate) drop_dtmf: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ForkEntry {
    pub(crate) kind: ForkKind,
    pub(crate) lease: Lease,
}

impl ForkEntry {
    /// The ports that its close frees; shared ones stay.
    pub(crate) fn freed(&self) -> Option<Lease> {
        (self.kind.ports == ForkPorts::Own).then_some(self.lease)
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RecorderEntry {
    pub(crate) endpoint: Arc<str>,
    pub(crate) path: PathBuf,
}

#[derive(Debug)]
pub(crate) struct SessionEntry {
    pub(crate) name: Arc<str>,
    pub(crate) worker: usize,
    pub(crate) endpoints: Few<Lease>,
    pub(crate) forks: Few<ForkEntry>,
    pub(crate) recorders: Few<RecorderEntry>,
}

impl SessionEntry {
    /// Takes an endpoint out with what hangs on it; the ports that this frees.
    pub(crate) fn remove_endpoint(&mut self, endpoint: &str) -> Vec<Lease> {
        let mut freed: Vec<Lease> = self.endpoints.remove(endpoint).into_iter().collect();
        self.forks.retain(|fork| {
            let stays = *fork.kind.endpoint != *endpoint;
            freed.extend(fork.freed().filter(|_| !stays));
            stays
        });
        self.recorders.retain(|recorder| *recorder.endpoint != *endpoint);
        freed
    }

    /// The ports that the session's close frees.
    pub(crate) fn leases(&self) -> Vec<Lease> {
        let endpoints = self.endpoints.values().copied();
        endpoints.chain(self.forks.values().filter_map(ForkEntry::freed)).collect()
    }

    /// True if none of the session's forks sends from these shared ports.
    ///
    /// RFC 8866 §5.14 gives no meaning to one transport address in two m-lines, and the forks of one recording stand in
    /// one description; those of different sessions never do.
    pub(crate) fn may_share(&self, lease: Lease) -> bool {
        self.forks.values().all(|fork| fork.lease != lease)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Directory {
    /// Boxed: half of a table's places are empty, or more.
    sessions: HashMap<Arc<str>, Box<SessionEntry>>,
    /// Sessions of each worker.
    loads: Vec<usize>,
    /// Ports that the forks of each worker share, in the order of their numbers there.
    shared: Vec<Vec<Lease>>,
}

impl Directory {
    pub(crate) fn new(workers: usize) -> Self {
        Self { sessions: HashMap::new(), loads: vec![0; workers], shared: vec![Vec::new(); workers] }
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = self.sessions.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn get_mut(&mut self, session: &str) -> Option<&mut SessionEntry> {
        self.sessions.get_mut(session).map(Box::as_mut)
    }

    /// The worker that has the fewest sessions.
    pub(crate) fn calmest(&self) -> usize {
        (0..self.loads.len()).min_by_key(|worker| self.loads[*worker]).unwrap_or(0)
    }

    /// Enters a session, on the worker that has the fewest.
    pub(crate) fn enter(&mut self, name: &Arc<str>) -> usize {
        let worker = self.calmest();
        self.loads[worker] += 1;
        let (endpoints, forks, recorders) = (Few::default(), Few::default(), Few::default());
        let entry = SessionEntry { name: name.clone(), worker, endpoints, forks, recorders };
        self.sessions.insert(name.clone(), Box::new(entry));
        worker
    }

    /// Shared ports of a session's worker on an interface that no fork of the session uses yet: (number, ports).
    pub(crate) fn shared_for(&self, session: &str, interface: InterfaceNumber) -> Option<(usize, Lease)> {
        let session = self.sessions.get(session)?;
        let known = self.shared[session.worker].iter().copied().enumerate();
        known.into_iter().find(|(_, lease)| lease.interface == interface && session.may_share(*lease))
    }

    /// Enters ports that a worker's forks will share; their number there.
    pub(crate) fn share(&mut self, worker: usize, lease: Lease) -> usize {
        self.shared[worker].push(lease);
        self.shared[worker].len() - 1
    }

    pub(crate) fn remove(&mut self, session: &str) -> Option<SessionEntry> {
        let entry = self.sessions.remove(session)?;
        self.loads[entry.worker] -= 1;
        Some(*entry)
    }

    /// A command that opened something was refused; the ports that this frees.
    pub(crate) fn undo(&mut self, session: &str, entered: &Entered) -> Option<Lease> {
        let session = self.sessions.get_mut(session)?;
        match entered {
            // it may have been closed meanwhile, and another opened by its name
            Entered::Endpoint(name, lease) if session.endpoints.get(name) == Some(lease) => {
                session.endpoints.remove(name)
            }
            Entered::Fork(name, lease) if session.forks.get(name).is_some_and(|fork| fork.lease == *lease) => {
                session.forks.remove(name)?.freed()
            }
            Entered::Endpoint(..) | Entered::Fork(..) => None,
            Entered::Recorder(name) => {
                session.recorders.remove(name);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(rtp_port: u16) -> Lease {
        Lease { interface: 0, rtp_port }
    }

    #[test]
    fn sessions_go_to_the_worker_with_the_fewest() {
        let mut directory = Directory::new(2);
        let names: Vec<Arc<str>> = ["b", "a", "c"].map(Arc::from).to_vec();
        assert_eq!(names.iter().map(|name| directory.enter(name)).collect::<Vec<_>>(), [0, 1, 0]);
        directory.remove("b");
        directory.remove("c");
        assert_eq!(directory.enter(&Arc::from("d")), 0);
        assert_eq!(directory.names(), [Arc::from("a"), Arc::from("d")]);
        assert!(directory.remove("b").is_none());
    }

    #[test]
    fn an_endpoint_takes_its_forks_and_recorders_along() {
        let mut directory = Directory::new(1);
        directory.enter(&Arc::from("s"));
        let session = directory.get_mut("s").unwrap();
        for (name, port) in [("a", 2), ("b", 4)] {
            session.endpoints.insert(name.into(), lease(port));
            let kind = ForkKind {
                endpoint: name.into(),
                side: Side::Inbound,
                role: ForkRole::Endpoint,
                cname: "c".into(),
                interface: 0,
                ports: ForkPorts::Own,
                batch_ns: 0,
                drop_dtmf: false,
            };
            session.forks.insert(format!("f{name}").into(), ForkEntry { kind, lease: lease(port + 100) });
            session.recorders.insert(name.into(), RecorderEntry { endpoint: name.into(), path: "/r".into() });
        }
        assert_eq!(session.remove_endpoint("a"), [lease(2), lease(102)]);
        assert_eq!(session.remove_endpoint("a"), []);
        assert_eq!(session.leases(), [lease(4), lease(104)]);
        assert_eq!(session.recorders.values().count(), 1);
        assert_eq!(directory.undo("s", &Entered::Fork("fb".into(), lease(102))), None, "another by that name");
        assert_eq!(directory.undo("s", &Entered::Fork("fb".into(), lease(104))), Some(lease(104)));
        assert_eq!(directory.undo("s", &Entered::Endpoint("b".into(), lease(2))), None, "another by that name");
        assert_eq!(directory.undo("s", &Entered::Endpoint("b".into(), lease(4))), Some(lease(4)));
        assert_eq!(directory.undo("s", &Entered::Recorder("b".into())), None);
        assert_eq!(directory.undo("x", &Entered::Endpoint("b".into(), lease(4))), None);
        assert!(directory.get_mut("s").unwrap().leases().is_empty());
    }
}
