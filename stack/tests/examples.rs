//! The examples do what they say: each checks itself, and fails where it does not.
#![cfg(feature = "host")]

#[path = "../examples/by_hand.rs"]
mod by_hand;
#[path = "../examples/channel.rs"]
mod channel;
#[path = "../examples/simulator.rs"]
mod simulator;

#[test]
fn a_stack_is_driven_by_hand() {
    by_hand::main().unwrap();
}

#[test]
fn a_channel_is_a_device() {
    channel::main().unwrap();
}

#[test]
fn time_may_be_virtual() {
    simulator::main().unwrap();
}
