//! stream: sound over UDP as RTP (RFC 3550), or over TCP, and what becomes of it on a bad link.
//!
//! `send` and `receive` are two programs on two hosts; `compare` is both in one, on an emulated
//! link in virtual time, and shows why live sound goes over UDP.

mod compare;
mod live;
mod player;
mod rtp;
mod sound;
mod source;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use demos::config;
use demos::output::say;
use demos::program::{Program, Role, conclude};

/// Streams sound: 16,000 samples a second of 16 bits, one channel.
#[derive(Parser, Debug)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Sends a sound as it is played.
    Send(live::SendOptions),
    /// Plays what is sent into a WAV file, and ends with it.
    Receive(live::ReceiveOptions),
    /// Sends a sound over UDP and over TCP on the same bad link, in virtual time, and shows for
    /// each rate of loss how late it is heard, and how often it is interrupted.
    Compare(compare::Options),
    /// Writes the sound that is sent if nothing else is said into a WAV file.
    Melody {
        /// The WAV file.
        file: PathBuf,

        /// How long it is.
        #[arg(long, default_value_t = 10)]
        seconds: u32,
    },
}

fn main() -> ExitCode {
    let result = match config::parse::<Options>().what {
        What::Send(options) => {
            return Program::run("stream", Role::Client, &options.common, |program| {
                live::send(program, &options)
            });
        }
        What::Receive(options) => {
            return Program::run("stream", Role::Server, &options.common, |program| {
                live::receive(program, &options)
            });
        }
        What::Compare(options) => compare::run(&options).map(|table| say(&table)),
        What::Melody { file, seconds } => sound::write(&file, &sound::melody(seconds)),
    };
    conclude("stream", result.map(|()| ExitCode::SUCCESS))
}
