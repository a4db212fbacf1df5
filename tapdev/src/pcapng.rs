//! Writing packet captures in the pcapng format (draft-ietf-opsawg-pcapng), for Wireshark and
//! tshark: one section, Ethernet interfaces, times in nanoseconds.
//!
//! Every block has the same frame: its type, its length, a body padded to 32 bits, and its length
//! again. All integers are little-endian, on every machine; the section header says so.

use std::io::{self, IoSlice, Write};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const LINKTYPE_ETHERNET: u16 = 1;

const OPT_END: u16 = 0;
const OPT_COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const EPB_FLAGS: u16 = 2;
const ISB_IFRECV: u16 = 4;
const ISB_IFDROP: u16 = 5;

/// The exponent of `if_tsresol`: times count units of 10^-9 s.
const NANOSECONDS: u8 = 9;

/// Which way a packet went, seen from this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// It was received.
    In,
    /// It was sent.
    Out,
}

impl Direction {
    /// Bits 0 and 1 of `epb_flags`.
    fn flags(self) -> u32 {
        match self {
            Direction::In => 1,
            Direction::Out => 2,
        }
    }
}

/// A capture in the making. Each block goes out in one `write_all`, so that a file which ends
/// between two of them is whole.
#[derive(Debug)]
pub struct PcapngWriter<W: Write> {
    out: W,
    block: Vec<u8>,
    interfaces: u32,
}

impl<W: Write> PcapngWriter<W> {
    /// Begins a capture of these interfaces. They are numbered from 0 in what follows.
    ///
    /// # Errors
    /// Those of writing.
    pub fn new(out: W, interface_names: &[&str]) -> io::Result<PcapngWriter<W>> {
        let mut writer = PcapngWriter { out, block: Vec::with_capacity(2048), interfaces: 0 };
        writer.section_header()?;
        for name in interface_names {
            writer.interface_description(name)?;
            writer.interfaces += 1;
        }
        Ok(writer)
    }

    /// Writes one frame, gathered from `parts`: on which interface, when, in nanoseconds since
    /// 1970, which way, and with a comment that Wireshark shows beside it.
    ///
    /// # Errors
    /// Those of writing; `InvalidInput` for a frame of 4 GiB or more, or an unknown interface.
    pub fn packet(
        &mut self,
        interface: u32,
        time_ns: u64,
        direction: Direction,
        parts: &[IoSlice<'_>],
        comment: Option<&str>,
    ) -> io::Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let length = u32::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.check_interface(interface)?;
        self.begin(ENHANCED_PACKET);
        self.put_u32(interface);
        self.put_time(time_ns);
        self.put_u32(length);
        self.put_u32(length);
        for part in parts {
            self.block.extend_from_slice(part);
        }
        self.pad();
        self.option(EPB_FLAGS, &direction.flags().to_le_bytes());
        if let Some(comment) = comment {
            self.option(OPT_COMMENT, comment.as_bytes());
        }
        self.end()
    }

    /// Writes an interface's totals so far, usually at the end: frames received and, of those,
    /// dropped for lack of room.
    ///
    /// # Errors
    /// Those of writing; `InvalidInput` for an unknown interface.
    pub fn statistics(
        &mut self,
        interface: u32,
        time_ns: u64,
        received: u64,
        dropped: u64,
    ) -> io::Result<()> {
        self.check_interface(interface)?;
        self.begin(INTERFACE_STATISTICS);
        self.put_u32(interface);
        self.put_time(time_ns);
        self.option(ISB_IFRECV, &received.to_le_bytes());
        self.option(ISB_IFDROP, &dropped.to_le_bytes());
        self.end()
    }

    /// Passes on what the writer below may hold back.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// The writer below.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    fn check_interface(&self, interface: u32) -> io::Result<()> {
        if interface < self.interfaces { Ok(()) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    fn section_header(&mut self) -> io::Result<()> {
        self.begin(SECTION_HEADER);
        self.put_u32(BYTE_ORDER_MAGIC);
        // Version 1.0.
        self.block.extend_from_slice(&[1, 0, 0, 0]);
        // A section of unknown length: it ends with the file.
        self.block.extend_from_slice(&(-1_i64).to_le_bytes());
        self.option(SHB_USERAPPL, b"tapstack");
        self.end()
    }

    fn interface_description(&mut self, name: &str) -> io::Result<()> {
        self.begin(INTERFACE_DESCRIPTION);
        self.block.extend_from_slice(&LINKTYPE_ETHERNET.to_le_bytes());
        self.block.extend_from_slice(&[0, 0]);
        // Frames are never cut.
        self.put_u32(0);
        self.option(IF_NAME, name.as_bytes());
        self.option(IF_TSRESOL, &[NANOSECONDS]);
        self.end()
    }

    fn begin(&mut self, kind: u32) {
        self.block.clear();
        self.put_u32(kind);
        // The length's place.
        self.put_u32(0);
    }

    /// Closes the options and the block, and writes it.
    fn end(&mut self) -> io::Result<()> {
        self.option(OPT_END, &[]);
        let length =
            u32::try_from(self.block.len() + 4).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.block[4..8].copy_from_slice(&length.to_le_bytes());
        self.put_u32(length);
        self.out.write_all(&self.block)
    }

    /// An option. Text longer than its 16-bit length allows is cut.
    fn option(&mut self, code: u16, value: &[u8]) {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.block.extend_from_slice(&code.to_le_bytes());
        self.block.extend_from_slice(&length.to_le_bytes());
        self.block.extend_from_slice(&value[..length.into()]);
        self.pad();
    }

    fn put_u32(&mut self, value: u32) {
        self.block.extend_from_slice(&value.to_le_bytes());
    }

    /// The high half first, whatever the byte order.
    fn put_time(&mut self, time_ns: u64) {
        self.put_u32((time_ns >> 32) as u32);
        self.put_u32(time_ns as u32);
    }

    fn pad(&mut self) {
        let padded = self.block.len().next_multiple_of(4);
        self.block.resize(padded, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hexadecimal text with spaces and `|` between the bytes.
    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    #[test]
    fn every_block_is_laid_out_as_the_format_says() {
        let mut file = Vec::new();
        let mut writer = PcapngWriter::new(&mut file, &["tap0"]).unwrap();
        let frame = [[0xaa; 14].as_slice(), &[0xbb; 3]];
        let parts = frame.map(IoSlice::new);
        writer.packet(0, 0x0102_0304_0506_0708, Direction::Out, &parts, Some("hey")).unwrap();
        writer.statistics(0, 1, 5, 2).unwrap();
        let expected = hex(concat!(
            // Section header: type, length, magic, version, section length, user application.
            "0a0d0d0a 2c000000 4d3c2b1a 0100 0000 ffffffffffffffff",
            "0400 0800 746170737461636b 0000 0000 2c000000",
            // Interface: link type, snap length, name, resolution.
            "01000000 28000000 0100 0000 00000000",
            "0200 0400 74617030 0900 0100 09 000000 0000 0000 28000000",
            // Packet: interface, time high and low, captured and original length, data.
            "06000000 48000000 00000000 04030201 08070605 11000000 11000000",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbb 000000",
            "0200 0400 02000000 0100 0300 686579 00 0000 0000 48000000",
            // Statistics: interface, time, received, dropped.
            "05000000 34000000 00000000 00000000 01000000",
            "0400 0800 0500000000000000 0500 0800 0200000000000000",
            "0000 0000 34000000",
        ));
        assert_eq!(file, expected);
    }

    #[test]
    fn packets_name_their_interface() {
        let mut file = Vec::new();
        let mut writer = PcapngWriter::new(&mut file, &["left", "right"]).unwrap();
        let parts = [IoSlice::new(&[0xaa; 14])];
        let packet = writer.packet(1, 0, Direction::In, &parts, None);
        packet.unwrap();
        let error = writer.packet(2, 0, Direction::In, &parts, None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(writer.statistics(2, 0, 0, 0).is_err());
        let tail = u32::from_le_bytes(*file.last_chunk().unwrap()) as usize;
        let block = &file[file.len() - tail..];
        assert_eq!(block[..4], ENHANCED_PACKET.to_le_bytes());
        assert_eq!(block[8..12], 1_u32.to_le_bytes());
    }

    #[test]
    fn a_comment_beyond_the_formats_limit_is_cut() {
        let mut file = Vec::new();
        let mut writer = PcapngWriter::new(&mut file, &["tap0"]).unwrap();
        let comment = "x".repeat(100_000);
        writer.packet(0, 0, Direction::In, &[IoSlice::new(&[0; 14])], Some(&comment)).unwrap();
        let tail = u32::from_le_bytes(*file.last_chunk().unwrap()) as usize;
        let start = file.len() - tail;
        assert_eq!(file[start..start + 4], ENHANCED_PACKET.to_le_bytes());
    }
}
