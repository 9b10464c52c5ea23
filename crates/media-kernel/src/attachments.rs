//! What the programs are attached to. Attaching takes the kernel tens of milliseconds, in which no packet may wait: a
//! thread of its own does it.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use aya::programs::links::LinkOrder;
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions, TcAttachType};
use aya::Ebpf;

use crate::netlink::interface_name;
use crate::object::{classifier, told};

/// The number of the loopback in each network namespace.
const LOOPBACK: u32 = 1;

/// Which way packets go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    /// They arrive.
    Relay,
    /// They leave.
    Leave,
}

#[derive(Clone, Debug)]
enum State {
    Asked,
    Attached,
    Failed(String),
}

type States = Arc<Mutex<HashMap<(u32, Side), State>>>;

/// The attachments of both programs; they end with it.
pub(crate) struct Attachments {
    states: States,
    orders: Option<Sender<(u32, Side)>>,
    thread: Option<JoinHandle<()>>,
}

impl Attachments {
    /// Takes the loaded programs. Fails where they cannot be attached at all, as before Linux 6.6.
    pub(crate) fn new(mut ebpf: Ebpf) -> io::Result<Self> {
        for side in [Side::Relay, Side::Leave] {
            attach(&mut ebpf, LOOPBACK, side)?;
        }
        let states = States::default();
        let (sender, orders) = std::sync::mpsc::channel();
        let told = states.clone();
        let work = move || attach_all(ebpf, &orders, &told);
        let thread = std::thread::Builder::new().name("media-attach".into()).spawn(work)?;
        Ok(Self { states, orders: Some(sender), thread: Some(thread) })
    }

    /// Fails with `ResourceBusy` while an interface is not attached yet, and for good if it cannot be.
    pub(crate) fn want(&self, interface: u32, side: Side) -> io::Result<()> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        match states.get(&(interface, side)) {
            Some(State::Attached) => return Ok(()),
            Some(State::Failed(reason)) => return Err(io::Error::other(reason.clone())),
            Some(State::Asked) => {}
            None => {
                states.insert((interface, side), State::Asked);
                if let Some(orders) = &self.orders {
                    // the thread lives as long as the sender
                    let _ = orders.send((interface, side));
                }
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// Forgets interfaces that are gone, and their attachments with them: their numbers may become others'. What failed may
    /// be tried again.
    pub(crate) fn forget_gone(&self) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.retain(|(interface, _), state| !matches!(state, State::Failed(_)) && interface_name(*interface).is_ok());
    }
}

impl Drop for Attachments {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // it only fails by a bug of ours, and then nothing is attached either
            let _ = thread.join();
        }
    }
}

fn attach_all(mut ebpf: Ebpf, orders: &Receiver<(u32, Side)>, states: &States) {
    let mut links = HashMap::new();
    while let Ok((interface, side)) = orders.recv() {
        links.retain(|(interface, _), _| interface_name(*interface).is_ok());
        let state = match attach(&mut ebpf, interface, side) {
            Ok(link) => {
                links.insert((interface, side), link);
                State::Attached
            }
            Err(error) => State::Failed(error.to_string()),
        };
        states.lock().unwrap_or_else(PoisonError::into_inner).insert((interface, side), state);
    }
}

/// Attaches by a link (Linux 6.6), which ends with itself, and with the process.
fn attach(ebpf: &mut Ebpf, interface: u32, side: Side) -> io::Result<SchedClassifierLink> {
    let (name, hook, order) = match side {
        // what others let pass only
        Side::Relay => ("relay", TcAttachType::Ingress, LinkOrder::last()),
        // what others see is the packet as it leaves; and one that ends the row would keep copies from their way
        Side::Leave => ("leave", TcAttachType::Egress, LinkOrder::first()),
    };
    let options = TcAttachOptions::TcxOrder(order);
    let interface = interface_name(interface)?;
    let program = classifier(ebpf, name)?;
    let link = program.attach_with_options(&interface, hook, options).map_err(told)?;
    program.take_link(link).map_err(told)
}
