//! One compressed stream, bounded, with nothing behind it.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::Stream;

/// Memory that an xz decoder may ask for; `xz -9` needs 65 MiB.
const XZ_MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Binary logarithm of the largest zstd window; what `zstd` itself accepts without being asked.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// How a stream is compressed.
#[derive(Clone, Copy)]
pub(crate) enum Compression {
    None,
    /// RFC 1952.
    Gzip,
    Xz,
    /// RFC 8878.
    Zstd,
}

/// Decompresses one stream (one gzip member, xz stream, zstd frame) that must fill its input.
pub(crate) struct Decompressed<R: BufRead> {
    decoder: Decoder<R>,
    bytes_left: u64,
    ended: bool,
}

enum Decoder<R: BufRead> {
    None(R),
    Gzip(Box<GzDecoder<R>>),
    Xz(XzDecoder<R>),
    Zstd(zstd::Decoder<'static, R>),
}

impl<R: BufRead> Decompressed<R> {
    pub(crate) fn new(
        inner: R,
        compression: Compression,
        bytes_max: u64,
    ) -> Result<Self, io::Error> {
        let decoder = match compression {
            Compression::None => Decoder::None(inner),
            Compression::Gzip => Decoder::Gzip(Box::new(GzDecoder::new(inner))),
            Compression::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY_BYTES_MAX, 0)?;
                Decoder::Xz(XzDecoder::new_stream(inner, stream))
            }
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(inner)?.single_frame();
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Decoder::Zstd(decoder)
            }
        };
        Ok(Self {
            decoder,
            bytes_left: bytes_max,
            ended: false,
        })
    }

    fn read_decoder(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.decoder {
            Decoder::None(inner) => inner.read(buffer),
            Decoder::Gzip(decoder) => decoder.read(buffer),
            Decoder::Xz(decoder) => decoder.read(buffer),
            Decoder::Zstd(decoder) => decoder.read(buffer),
        }
    }

    fn input(&mut self) -> &mut R {
        match &mut self.decoder {
            Decoder::None(inner) => inner,
            Decoder::Gzip(decoder) => decoder.get_mut(),
            Decoder::Xz(decoder) => decoder.get_mut(),
            Decoder::Zstd(decoder) => decoder.get_mut(),
        }
    }
}

impl<R: BufRead> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        let count = self.read_decoder(buffer)?;
        if count == 0 {
            self.ended = true;
            if !self.input().fill_buf()?.is_empty() {
                return Err(invalid("compressed data is followed by something else"));
            }
            return Ok(0);
        }
        self.bytes_left = (self.bytes_left)
            .checked_sub(count as u64)
            .ok_or_else(|| invalid("decompressed data is larger than allowed"))?;
        Ok(count)
    }
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
