//! What is explored: two applications, each with its program, and what may befall the frames.

/// What an application does next, as soon as it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Writes so many bytes.
    Send(u64),
    /// Says that nothing more will be written.
    Shutdown,
    /// Closes when the other side's stream has ended.
    CloseAtEnd,
    /// Closes, whatever is missing.
    Close,
    /// Resets.
    Abort,
}

/// How an application reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// At once.
    Eagerly,
    /// When it comes to it, all that is there.
    Lazily,
}

/// One side.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    /// It waits for connections; otherwise it opens one.
    pub listens: bool,
    /// How it reads.
    pub reads: Reads,
    /// What it does, in this order.
    pub program: &'static [Op],
}

/// How often each kind of misfortune may happen in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Faults {
    /// Frames lost.
    pub drops: u8,
    /// Frames that come twice.
    pub duplicates: u8,
    /// Frames that overtake others.
    pub overtakes: u8,
    /// Deadlines that come although something else could happen first: slow networks, slow
    /// applications.
    pub delays: u8,
}

/// What is explored.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// The two sides.
    pub sides: [Side; 2],
    /// Options that a middlebox takes from SYNs, by their kinds.
    pub strips: &'static [u8],
    /// What may befall the frames.
    pub faults: Faults,
    /// Sabotage, to show that it would be found.
    pub sabotage: Option<Sabotage>,
}

/// A planted fault of the second host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Its timers never fire.
    Deaf,
    /// A byte that is read in the second segment is another.
    WrongByte,
    /// Nobody is told that there is something to read once the first text has been.
    Lazy,
    /// It panics when it is given another frame after the first few.
    Panics,
}

/// A full segment, in bytes; the windows and the buffers hold two.
pub const UNIT: u64 = 1024;

const NO_STAMPS: &[u8] = &[8];
const NO_STAMPS_NO_SACK: &[u8] = &[8, 4];

const fn client(reads: Reads, program: &'static [Op]) -> Side {
    Side { listens: false, reads, program }
}

const fn server(reads: Reads, program: &'static [Op]) -> Side {
    Side { listens: true, reads, program }
}

/// Everything that is explored, with these faults.
pub fn all(faults: Faults) -> Vec<Scenario> {
    use Op::*;
    use Reads::*;
    let scenario = |name, one, other| Scenario {
        name,
        sides: [one, other],
        strips: NO_STAMPS,
        faults,
        sabotage: None,
    };
    let speaks = &[Send(UNIT), Send(UNIT), Send(UNIT), Shutdown, CloseAtEnd];
    let answers = &[Send(UNIT), Shutdown, CloseAtEnd];
    let listens = &[Shutdown, CloseAtEnd];
    let (says_one, says_two) =
        (&[Send(1), Shutdown, CloseAtEnd], &[Send(2 * UNIT), Shutdown, CloseAtEnd]);
    vec![
        scenario(
            "one way, three segments through a window of two",
            client(Eagerly, &[Send(3 * UNIT), Shutdown, CloseAtEnd]),
            server(Lazily, listens),
        ),
        scenario("question and answer", client(Eagerly, says_one), server(Eagerly, answers)),
        scenario("both at once", client(Lazily, says_two), server(Lazily, says_two)),
        Scenario {
            strips: NO_STAMPS_NO_SACK,
            ..scenario(
                "the server speaks, without SACK",
                client(Eagerly, listens),
                server(Eagerly, speaks),
            )
        },
        Scenario {
            strips: &[],
            ..scenario("with timestamps", client(Eagerly, says_two), server(Eagerly, says_one))
        },
        scenario("simultaneous open", client(Eagerly, says_one), client(Eagerly, says_one)),
        scenario(
            "simultaneous close",
            client(Eagerly, &[Send(1), Close]),
            server(Eagerly, &[Close]),
        ),
        scenario(
            "simultaneous close in silence",
            client(Eagerly, &[Shutdown, Close]),
            server(Eagerly, &[Shutdown, Close]),
        ),
        scenario(
            "abort",
            client(Eagerly, &[Send(UNIT), Abort]),
            server(Lazily, &[Send(UNIT), Shutdown]),
        ),
        scenario(
            "closed with text unread",
            client(Eagerly, says_two),
            server(Lazily, &[Send(UNIT), Close]),
        ),
    ]
}

impl Scenario {
    /// Somebody leaves before the end: then nobody else is promised one. Who closes leaves nothing
    /// behind where nothing is said.
    pub fn is_rude(&self) -> bool {
        let has = |what: fn(&Op) -> bool| self.sides.iter().any(|it| it.program.iter().any(what));
        let speaks = has(|op| matches!(op, Op::Send(_)));
        has(|op| *op == Op::Abort) || speaks && has(|op| *op == Op::Close)
    }
}
