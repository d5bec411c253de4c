//! Texts in other encodings, and compressed.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use simfleet_provider_api::Value;

use super::{Arguments, Call, Function, Outcome, Problem, string};

pub(super) static FUNCTIONS: &[Function] = &[
    Function::plain("base64gzip", &[string("str")], gzip),
    Function::plain("textdecodebase64", &[string("source"), string("encoding")], decode),
    Function::plain("textencodebase64", &[string("string"), string("encoding")], encode),
];

fn gzip(args: &[Value], _: &Call<'_>) -> Outcome {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(args.text(0).as_bytes());
    let bytes = written.and_then(|()| encoder.finish());
    bytes
        .map(|bytes| STANDARD.encode(bytes).into())
        .map_err(|error| Problem::Call(error.to_string()))
}

fn base64(args: &[Value]) -> Result<Vec<u8>, Problem> {
    let bytes = STANDARD.decode(args.text(0));
    bytes.map_err(|_| Problem::Argument(0, "it is not base 64 text".into()))
}

/// The encodings that are offered: those of Unicode, and Latin 1.
#[derive(Clone, Copy)]
enum Encoding {
    Utf8,
    Utf16 {
        big_endian: bool,
    },
    /// Each character is one byte, up to this one.
    Bytes {
        last: u8,
    },
}

impl Encoding {
    fn of(name: &str) -> Result<Self, Problem> {
        match name.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Ok(Encoding::Utf8),
            "UTF-16LE" => Ok(Encoding::Utf16 { big_endian: false }),
            "UTF-16BE" => Ok(Encoding::Utf16 { big_endian: true }),
            "ISO-8859-1" | "ISO_8859-1" | "LATIN1" => Ok(Encoding::Bytes { last: 0xff }),
            "US-ASCII" | "ASCII" => Ok(Encoding::Bytes { last: 0x7f }),
            _ => {
                let problem = "it must be UTF-8, UTF-16LE, UTF-16BE, ISO-8859-1 or US-ASCII";
                Err(Problem::Argument(1, problem.to_owned()))
            }
        }
    }
}

fn encode(args: &[Value], _: &Call<'_>) -> Outcome {
    let text = args.text(0);
    let bytes = match Encoding::of(args.text(1))? {
        Encoding::Utf8 => text.as_bytes().to_vec(),
        Encoding::Utf16 { big_endian } => {
            let units = text.encode_utf16();
            units
                .flat_map(|unit| {
                    if big_endian {
                        unit.to_be_bytes()
                    } else {
                        unit.to_le_bytes()
                    }
                })
                .collect()
        }
        Encoding::Bytes { last } => {
            let byte = |char| u8::try_from(char).ok().filter(|byte| *byte <= last);
            let bytes: Option<Vec<u8>> = text.chars().map(byte).collect();
            let lacking = || Problem::Argument(0, format!("{} lacks one of its characters", args.text(1)));
            bytes.ok_or_else(lacking)?
        }
    };
    Ok(STANDARD.encode(bytes).into())
}

fn decode(args: &[Value], _: &Call<'_>) -> Outcome {
    let encoding = Encoding::of(args.text(1))?;
    let bytes = base64(args)?;
    let wrong = || Problem::Argument(0, format!("what it encodes is not {}", args.text(1)));
    let text = match encoding {
        Encoding::Utf8 => String::from_utf8(bytes).map_err(|_| wrong())?,
        Encoding::Utf16 { big_endian } => {
            let (pairs, rest) = bytes.as_chunks::<2>();
            let unit = |pair: &[u8; 2]| match big_endian {
                true => u16::from_be_bytes(*pair),
                false => u16::from_le_bytes(*pair),
            };
            let units: Vec<u16> = pairs.iter().map(unit).collect();
            let text = String::from_utf16(&units).ok().filter(|_| rest.is_empty());
            text.ok_or_else(wrong)?
        }
        Encoding::Bytes { last } => match bytes.iter().all(|byte| *byte <= last) {
            true => bytes.into_iter().map(char::from).collect(),
            false => return Err(wrong()),
        },
    };
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use crate::config::eval::{Expr, evaluate};
    use crate::config::scope::Constants;

    #[test]
    fn what_is_compressed_comes_back() {
        let scope = Constants {
            folder: std::path::Path::new("."),
            environment: &Default::default(),
            unset: Default::default(),
            variables: None,
        };
        for text in ["", "hello", "é".repeat(10_000).as_str()] {
            let expr = Expr::parse("test", &format!("base64gzip({text:?})")).expect("an expression");
            let value = evaluate(&expr, &scope).expect("a text");
            let bytes = STANDARD.decode(value.as_str().expect("a text")).expect("base 64");
            let mut back = String::new();
            flate2::read::GzDecoder::new(&*bytes)
                .read_to_string(&mut back)
                .expect("gzip");
            assert_eq!(back, text);
        }
    }
}
